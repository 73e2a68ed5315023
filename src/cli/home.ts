/**
 * How a command reaches a home: through whoever holds it, by holding it, or by reading its journal. The one file of the CLI that
 * knows the runtime.
 */
import { existsSync } from 'node:fs'
import { homeDir } from '../config.ts'
import { TenutoError } from '../errors.ts'
import { connectHome, type HomeClient } from '../http/client.ts'
import type { Catalog, Command, CommandReceipt, Runtime, RuntimeOptions } from '../runtime.ts'
import { tellOfHolder } from './build.ts'
import type { Globals } from './screen.ts'

export type { Catalog, Command, Runtime } from '../runtime.ts'

/** The folder of the home that the flags and the environment name. */
export const homeOf = (globals: Globals): string => homeDir(globals.home)

/** How a suggested command names this home: not at all when it is the usual one. */
export const homeFlag = (globals: Globals): string =>
  globals.home === undefined ? '' : ` --home ${globals.home}`

/** The holder of the home; undefined when nobody serves it. One of another build is told of in one line. */
export const holderOf = async (home: string): Promise<HomeClient | undefined> => {
  const holder = existsSync(home) ? await connectHome(home) : undefined
  if (holder) tellOfHolder(holder.holder)
  return holder
}

/** What a home holds, for reading. A home that does not exist reads as empty and is not made. */
export const readingOf = async (home: string): Promise<Catalog> => {
  const holder = await holderOf(home)
  if (holder) return { ...holder.catalog, close: async () => holder.close() }
  const { emptyCatalog, readHome } = await import('../runtime.ts')
  return existsSync(home) ? readHome(home) : emptyCatalog(home)
}

/** Holds the home in this process. */
export const hold = async (home: string, options: Omit<RuntimeOptions, 'home'>): Promise<Runtime> => {
  const { createRuntime } = await import('../runtime.ts')
  return createRuntime({ ...options, home })
}

/** Where a plan is followed: in this process, or at the holder of the home. */
export type Source = Readonly<{ catalog: Catalog; command: Runtime['command']; events: Runtime['events'] }>

/** A runtime, or the holder of a home, as something to follow. */
export const sourceOf = ({ catalog, command, events }: Runtime | HomeClient): Source => ({
  catalog,
  command,
  events,
})

/** What a command did, and whether somebody is there to go on with it. */
export type Commanded = Readonly<{ receipt: CommandReceipt; plan: string; job: string | null; held: boolean }>

/**
 * Asks something of what a ref names: of the holder if there is one, else by taking the home for as long as it takes. What is
 * stopped is seen to its end; nothing is started.
 */
export const command = async (
  home: string,
  ref: string,
  asked: Command,
  why: string | undefined,
): Promise<Commanded> => {
  const by = why === undefined ? {} : { why }
  const holder = await holderOf(home)
  if (holder) {
    try {
      const { plan, job } = await holder.catalog.resolve(ref)
      return { receipt: await holder.command(plan, job, asked, by), plan, job, held: true }
    } finally {
      holder.close()
    }
  }
  const reading = await readingOf(home)
  const { plan, job } = await reading.resolve(ref)
  await reading.close()
  const runtime = await hold(home, { resume: false, starts: false, command: `tenuto ${asked.do}` })
  try {
    const receipt = await runtime.command(plan, job, asked, by)
    if (asked.do === 'cancel') await seeToItsEnd(runtime, plan, job)
    return { receipt, plan, job, held: false }
  } finally {
    await runtime.stop()
  }
}

const seeToItsEnd = async (runtime: Runtime, plan: string, job: string | null): Promise<void> => {
  const ended = async (): Promise<boolean> => {
    const { state } = job === null ? await runtime.catalog.plan(plan) : await runtime.catalog.job(plan, job)
    return state === 'succeeded' || state === 'failed' || state === 'cancelled' || state === 'skipped'
  }
  if (await ended()) return
  for await (const event of runtime.events({ plan, after: 0 })) {
    if (event.position > 0 && (await ended())) return
  }
  // What ended the events says why, if anything did.
  throw await Promise.race([runtime.failed, Promise.resolve(new TenutoError('STOPPED'))])
}

/** The drawings of the machines. */
export const machineDiagrams = async () => (await import('../runtime.ts')).diagrams

/** What makes backups and takes them back. */
export const backups = () => import('../backup.ts')
