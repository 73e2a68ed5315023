/** A process that asks the holder of the home named something and leaves its client open. */
import { connectHome } from '../../src/http/client.ts'

const client = await connectHome(process.argv[2] ?? '')
if ((await client?.catalog.plans())?.length !== 1) process.exitCode = 1
