"""One OPC UA session: opened with the security that `edge.yaml` asks for, and taken up again after the line was cut.

A session that the server still holds goes on over a new connection (OPC 10000-4, 6.7), so that nothing in its queues is lost.
Of asyncua this uses transport, encoding and services; publishing and supervision are ours, for only what is durable is
acknowledged to the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from asyncua.crypto import security_policies, uacrypto

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import TransientError
from sidestream_edge.drivers.opcua import status, words
from sidestream_edge.drivers.opcua.keys import KeyFolder, Own

CLOSE_S = 0.3
CHANNEL_S = 3600
_RENEW_AFTER = 0.75
MOST_RESUMES = 5
"""Attempts to take up a session at a server that is there; then a new one is made, with its certificate looked at anew."""

_POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_PLAIN = security_policies.SecurityPolicyNone.URI

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what goes wrong is said by us, with the device's name


class _Session(UaSession):  # type: ignore[misc]
    """A session that is published to by our own loop alone."""

    def ensure_publish_loop(self) -> None:
        """Does nothing: asyncua's loop acknowledges what is not yet durable."""


class Link:
    """The way to one server; every method raises TransientError with a sentence that names the server."""

    def __init__(self, config: OpcUaDriver, where: str, keys: KeyFolder, application_uri: str) -> None:
        self._config = config
        self._where = where
        self._keys = keys
        self._uri = application_uri
        self._client: Client | None = None
        self._own: Own | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._resumes = 0

    @property
    def session(self) -> UaSession:
        """The open session's services."""
        if self._client is None:
            raise TransientError(f"{self._where} is not connected.")
        return self._client.uaclient.session

    @property
    def own(self) -> Own | None:
        """The certificate that we show, on a secured line."""
        return self._own

    def said(self, error: BaseException) -> TransientError:
        """The failure as a sentence."""
        return TransientError(words.explain(error, self._where, self._config, self._own))

    async def open(self) -> bool:
        """Opens a line; True when the session of before goes on, False when it is a new one."""
        try:
            if self._client is not None and await self._resumed(self._client):
                return True
            self._client = None
            client = await self._new_client()
            await client.connect_socket()
            await self._open_channel(client)
            await client.create_session()
            await self._activate(client)
        except words.FAILURES as error:
            raise self.said(error) from error
        self._client = client
        self._watch(client)
        return False

    def drop(self) -> None:
        """Cuts the line and keeps the session, which `open` then tries to take up again."""
        self._stop_renewal()
        if self._client is not None:
            self._client.disconnect_socket()

    async def close(self) -> None:
        """Ends the session within 0.3 s if the server answers, so that it need not keep it; raises nothing."""
        client, self._client = self._client, None
        self._stop_renewal()
        if client is None:
            return
        with contextlib.suppress(*words.FAILURES):
            async with asyncio.timeout(CLOSE_S):
                await client.uaclient.close_session(delete_subscriptions=True)
                await client.close_secure_channel()
        with contextlib.suppress(*words.FAILURES):
            client.disconnect_socket()

    async def _resumed(self, client: Client) -> bool:
        """Whether the server still holds our session and gives it back over a new connection."""
        if not client.uaclient.has_session or self._resumes >= MOST_RESUMES:
            return False
        await client.connect_socket()
        self._resumes += 1
        await self._open_channel(client)
        client.uaclient.session.rebind_authentication_token()
        try:
            await self._activate(client)
        except ua.UaStatusCodeError:
            return False
        self._watch(client)
        return True

    async def _open_channel(self, client: Client) -> None:
        try:
            await client.send_hello()
            await client.open_secure_channel()
        except AssertionError as error:  # so asyncua tells that the server refused the channel; it forgets the code
            client.disconnect_socket()
            raise ua.UaStatusCodeError(ua.StatusCodes.BadSecurityChecksFailed) from error
        except BaseException:
            client.disconnect_socket()
            raise

    async def _activate(self, client: Client) -> None:
        try:
            await client.activate_session(username=self._config.user, password=self._config.password)
        except BaseException:
            client.disconnect_socket()
            raise

    def _watch(self, client: Client) -> None:
        self._resumes = 0
        self._stop_renewal()
        self._renewal = asyncio.create_task(_renew(client))

    def _stop_renewal(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None

    async def _new_client(self) -> Client:
        """A client with the security that is asked for, once the server's certificate is found to be trusted."""
        client = self._client_for()
        endpoint = self._endpoint(await client.connect_and_get_server_endpoints())
        self._check_login(endpoint)
        security = self._config.security
        if security is None:
            return client
        certificate = uacrypto.x509_from_der(endpoint.ServerCertificate)
        if certificate is None:
            raise TransientError(
                f"{self._where} shows no certificate, though {security.policy} needs one. Look at the server's own log."
            )
        own = self._own = await asyncio.to_thread(self._keys.own)
        self._keys.check(certificate, self._where)
        client.application_uri = own.uri
        await client.set_security(
            _POLICIES[security.policy], own.certificate, own.key, mode=ua.MessageSecurityMode[security.mode],
            server_certificate=uacrypto.der_from_x509(certificate),
        )  # fmt: skip
        return client

    def _client_for(self) -> Client:
        client = Client(self._config.endpoint, timeout=self._config.timeout_s)
        client.uaclient.session = _Session(client.uaclient)
        client.name = client.description = "Sidestream edge"
        client.application_uri, client.product_uri = self._uri, "urn:sidestream:edge"
        client.session_timeout = round(self._config.keep_s * 1000)
        client.secure_channel_timeout = CHANNEL_S * 1000
        return client

    def _endpoint(self, endpoints: list[ua.EndpointDescription]) -> ua.EndpointDescription:
        security = self._config.security
        policy = _POLICIES[security.policy].URI if security else _PLAIN
        mode = ua.MessageSecurityMode[security.mode if security else "None_"]
        tcp = [one for one in endpoints if str(one.EndpointUrl or "").startswith("opc.tcp")]
        for one in tcp:
            if one.SecurityPolicyUri == policy and one.SecurityMode == mode:
                return one
        offered = ", ".join(dict.fromkeys(offer(one) for one in tcp)) or "nothing over opc.tcp"
        asked = f"{security.policy}, {security.mode}" if security else "no security"
        raise TransientError(
            f"{self._where} does not offer {asked}. It offers: {offered}. Correct `security`, or switch it on at the server."
        )

    def _check_login(self, endpoint: ua.EndpointDescription) -> None:
        kind = ua.UserTokenType.UserName if self._config.user else ua.UserTokenType.Anonymous
        found: list[Any] = [token for token in endpoint.UserIdentityTokens or [] if token.TokenType == kind]
        if not found and endpoint.UserIdentityTokens:
            taken = ", ".join(sorted({token.TokenType.name.rstrip("_") for token in endpoint.UserIdentityTokens}))
            do = (
                "set `user` and `password`"
                if not self._config.user
                else "leave `user` out, or allow user names at the server"
            )
            raise TransientError(f"{self._where} takes only these logins: {taken}. {do[0].upper()}{do[1:]}.")
        if self._config.password is None or not found or self._config.plain_password:
            return
        if (
            found[0].SecurityPolicyUri or endpoint.SecurityPolicyUri
        ) == _PLAIN and endpoint.SecurityMode != ua.MessageSecurityMode.SignAndEncrypt:
            raise TransientError(
                f"{self._where} would take the password in clear text. Set `security`, or, if the line is your own, `plain_password: true`."
            )


async def _renew(client: Client) -> None:
    """Renews the channel's keys in time; a line on which that fails is cut, and so found to be dead."""
    try:
        while True:
            await asyncio.sleep(client.secure_channel_timeout / 1000 * _RENEW_AFTER)
            await client.open_secure_channel(renew=True)
            client.uaclient.revolve_security_token()
    except words.FAILURES:
        client.disconnect_socket()


def offer(endpoint: ua.EndpointDescription) -> str:
    """`Basic256Sha256, SignAndEncrypt` or `no security`."""
    policy = str(endpoint.SecurityPolicyUri or "").rpartition("#")[2]
    return "no security" if policy == "None" else f"{policy}, {endpoint.SecurityMode.name}"


def check(code: ua.StatusCode) -> str | None:
    """Why an operation within a call failed; None if it did not."""
    return None if code.is_good() else status.words(int(code.value))
