"""The servers of the demo, run from wheels or from what is installed: PostgreSQL 18 and an MQTT 5 broker.

For demo, small pilots and tests; a production site brings its own database (any DSN) and broker (any MQTT 5 URL).
"""

from __future__ import annotations
