/**
 * `--inspect`: the inspector beside what serves a home. Off unless it is asked for, and never a reason for anything else to fail.
 */
import { TenutoError } from '../errors.ts'
import type { Served } from '../http/server.ts'
import { wordsOf } from '../thrown.ts'
import type { Runtime } from './home.ts'
import type { Screen } from './screen.ts'

/** The flags of `run` and `up` that ask for it; `inspectPort` is what `--inspect=PORT` says. */
export type InspectFlags = Readonly<{ inspect?: boolean; inspectPort?: string }>

type Serve = (runtime: Runtime) => Promise<Served>

/**
 * What serves a home, with the inspector beside it if the flags ask for one. All that needs is loaded now, before a home is held.
 * @throws {TenutoError} `USAGE` when the port is none.
 */
export const withInspector = async (
  serve: Serve,
  flags: InspectFlags,
  on: Pick<Screen, 'talk'>,
): Promise<Serve> => {
  if (!flags.inspect) return serve
  const port = inspectPortOf(flags)
  const without = (error: unknown): void =>
    on.talk(`warning: the inspector cannot be started, and all else goes on without it: ${wordsOf(error)}`)
  const loaded = await import('../inspector/serve.ts').catch(without)
  if (!loaded) return serve
  return async (runtime) => {
    const inspector = await loaded.serveInspector(runtime, port, on.talk).catch(without)
    if (inspector)
      on.talk(
        `inspect: ${inspector.url} (with ws:// it is for clients of @statelyai/inspect; this machine only)`,
      )
    try {
      const served = await serve(runtime)
      const close = async (): Promise<void> => {
        await inspector?.close()
        await served.close()
      }
      return { ...served, close }
    } catch (error) {
      await inspector?.close()
      throw error
    }
  }
}

/**
 * The port that `--inspect=PORT` asks for; 0 picks one.
 * @throws {TenutoError} `USAGE` when it is none.
 */
export const inspectPortOf = ({ inspectPort: text }: InspectFlags): number => {
  if (text === undefined) return 0
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new TenutoError('USAGE', { what: `--inspect=${text}: a port is a whole number from 0 to 65535` })
  return port
}
