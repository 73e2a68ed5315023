/**
 * `tenuto open`: a link by which a browser gets in, once.
 */
import { spawn } from 'node:child_process'
import { pause } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { awaitHolder, homeOf } from './home.ts'
import { type Globals, screen } from './screen.ts'

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'open', linux: 'xdg-open' }

/** Prints a link to the daemon of the home; answers the exit code. */
export const open = async (flags: Globals & Readonly<{ browser?: boolean }>): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home)
  if (!holder) throw new TenutoError('NO_DAEMON', { home })
  try {
    const link = await holder.link()
    on.answer(on.json ? JSON.stringify(link) : link.url)
    on.talk('it works once, within a minute')
    if (flags.browser && !(await handOver(link.url))) on.talk('no browser could be opened: open it yourself')
    return 0
  } finally {
    holder.close()
  }
}

/** An opener that has not failed by then has a browser in it. */
const OPENS_WITHIN_MS = 3_000

/** Whether something took the link. */
const handOver = async (url: string): Promise<boolean> => {
  const opener = OPENERS[process.platform]
  if (opener === undefined) return false
  const child = spawn(opener, [url], { detached: true, stdio: 'ignore' })
  child.unref()
  const taken = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
  return Promise.race([taken, pause(OPENS_WITHIN_MS).then(() => true)])
}
