/**
 * How a command reaches a home: through whoever holds it, by holding it, or by reading its journal. The one file of the CLI that
 * knows the runtime.
 */
import { existsSync } from 'node:fs'
import { lookAtHolder } from '../audit/holder.ts'
import { readJournalFile } from '../audit/journal-file.ts'
import { pause } from '../clock.ts'
import type { Asker } from '../command.ts'
import { homeDir } from '../config.ts'
import { type Definition, definitionHash } from '../definition.ts'
import { TenutoError } from '../errors.ts'
import { DAEMON, noAnswer, parentOf, readHolder, restarting } from '../holder.ts'
import { checkHome, homePaths } from '../home.ts'
import type { HomeClient } from '../http/client.ts'
import { type ModeOrder, type ModeReceipt, modeInWords, readMode } from '../mode.ts'
import { operator } from '../process.ts'
import type {
  Catalog,
  Command,
  CommandReceipt,
  GcOptions,
  LetterOrder,
  Runtime,
  RuntimeOptions,
} from '../runtime.ts'
import { isPlanEnd } from '../states.ts'
import type { Holding } from '../views/evidence.ts'
import type { ExplainShape } from '../views/explain.ts'
import type { InspectionShape } from '../views/shapes.ts'
import { checkSameBuild, tellOfHolder } from './build.ts'
import { orderTarget, targetOf } from './refs.ts'
import type { Globals } from './screen.ts'

export type { Catalog, Command, LetterOrder, Runtime } from '../runtime.ts'
export { homeFlag } from './screen.ts'

const PATIENCE_MS = 5_000
/** A daemon that died is back within this, but when it dies again and again. */
const RESTARTED_WITHIN_MS = 15_000
const LOOK_MS = 50
/** A run that answers has its plan in the journal within this. */
const SUBMITS_WITHIN_MS = 1_000

/** The folder of the home that the flags and the environment name. */
export const homeOf = (globals: Globals): string => homeDir(globals.home)

let client: Promise<typeof import('../http/client.ts')> | undefined

/** The holder of the home; undefined when nobody serves it. One of another build is told of in one line. */
export const holderOf = async (home: string): Promise<HomeClient | undefined> => {
  if (!existsSync(home)) return undefined
  // What speaks HTTP is dear to load, and many a command never asks anybody.
  client ??= import('../http/client.ts')
  const holder = await (await client).connectHome(home)
  if (holder) tellOfHolder(holder.holder)
  return holder
}

/**
 * The holder of the home, waited for when somebody has taken the home and does not serve it yet: a plan may begin before its
 * socket is there; and for `restartedMs` when a daemon has died and its parent lives, which starts it again. Undefined when nobody
 * holds it, or one that serves nobody, as a command that stops something.
 */
export const awaitHolder = async (
  home: string,
  restartedMs = RESTARTED_WITHIN_MS,
): Promise<HomeClient | undefined> => {
  checkHome(home)
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const holder = await holderOf(home)
    if (holder || !existsSync(home)) return holder
    const isHeld = lookAtHolder(home).held
    if (waitedMs >= (isHeld ? PATIENCE_MS : restartedMs)) return undefined
    if (!isHeld && parentOf(home) === undefined) return undefined
    await pause(LOOK_MS)
  }
}

/** The attempts of a home whose processes live, whoever holds it. */
export const liveAttempts = async (home: string, homeId: string) =>
  (await import('../runtime.ts')).scanAttempts(homePaths(home).home, homeId)

/** What a home holds, for reading. A home that does not exist reads as empty and is not made. */
const readingOf = async (home: string): Promise<Catalog> => {
  checkHome(home)
  const holder = await holderOf(home)
  if (holder) return { ...holder.catalog, close: async () => holder.close() }
  const { emptyCatalog, readHome } = await import('../unserved.ts')
  return existsSync(home) ? readHome(home) : emptyCatalog(home)
}

/** What is read of a home while it is open for that. */
export const readIn = async <T>(home: string, read: (catalog: Catalog) => Promise<T>): Promise<T> => {
  const catalog = await readingOf(home)
  try {
    return await read(catalog)
  } finally {
    await catalog.close()
  }
}

/** Explains in a home that nobody serves. */
export const explainHome = async (home: string, ref: string, holding: Holding): Promise<ExplainShape> =>
  (await import('../unserved.ts')).explainIn(home, ref, holding)

/** Looks into an actor of a home that nobody serves. */
export const inspectHome = async (home: string, ref: string): Promise<InspectionShape> =>
  (await import('../unserved.ts')).inspectIn(home, ref)

/**
 * The lock is the truth: a home that is held by somebody whose socket cannot be reached is not one that nobody serves.
 * @throws {TenutoError} `NO_ANSWER` of such a home.
 */
export const refuseUnserved = (home: string): void => {
  if (lookAtHolder(home).held) throw noAnswer(home)
}

/**
 * Holds the home in this process.
 * @throws {TenutoError} `NO_ANSWER` when that would take the place of a daemon that is about to be started again.
 */
export const hold = async (home: string, options: Omit<RuntimeOptions, 'home'>): Promise<Runtime> => {
  const { createRuntime } = await import('../runtime.ts')
  checkSameBuild()
  const parent = options.command === DAEMON ? undefined : parentOf(home)
  if (parent !== undefined) throw restarting(home, parent)
  return createRuntime({ ...options, home })
}

/** Whether that very process still is there and holds the home. */
export const isHeldBy = (home: string, pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return readHolder(homePaths(home).daemon)?.pid === pid
}

/** Where a plan is followed: in this process, or at the holder of the home. */
export type Source = Readonly<{ catalog: Catalog; command: Runtime['command']; events: Runtime['events'] }>

/** A runtime, or the holder of a home, as something to follow. */
export const sourceOf = ({ catalog, command, events }: Runtime | HomeClient): Source => ({
  catalog,
  command,
  events,
})

/** Asks the holder of a home; `without` is what is done where there is none. */
export const byHolder = async <T>(
  home: string,
  ask: (holder: HomeClient) => Promise<T>,
  without: () => Promise<T>,
): Promise<T> => {
  const holder = await awaitHolder(home)
  if (!holder) return without()
  try {
    return await ask(holder)
  } finally {
    holder.close()
  }
}

/** Takes a home for as long as something takes, and starts nothing in it. */
const inHome = async <T>(
  home: string,
  options: Omit<Parameters<typeof hold>[1], 'starts'>,
  act: (runtime: Runtime) => Promise<T>,
): Promise<T> => {
  const runtime = await hold(home, { ...options, starts: false })
  try {
    return await act(runtime)
  } finally {
    await runtime.stop()
  }
}

/** The secrets that a plan names. */
export type PlanSecrets = Readonly<{ plan: string; secrets: Awaited<ReturnType<Catalog['secrets']>> }>

/**
 * The secrets that the plan of a ref names.
 * @throws {TenutoError} `USAGE` when it is the ref of a job.
 */
export const planSecrets = (home: string, ref: string): Promise<PlanSecrets> =>
  readIn(home, async (catalog) => {
    const { plan, job } = await targetOf(catalog, ref)
    if (job !== null)
      throw new TenutoError('USAGE', { what: `secrets are kept by plan; ${plan}/${job} is a job of ${plan}` })
    return { plan, secrets: await catalog.secrets(plan) }
  })

/** Gives a home values of secrets that a plan names: its holder, or by taking it for as long as that takes. */
export const giveSecrets = async (
  home: string,
  plan: string,
  values: Readonly<Record<string, string>>,
): Promise<PlanSecrets> => {
  const by = { by: operator() }
  const give = async (to: Pick<Runtime, 'giveSecrets'>): Promise<PlanSecrets> => ({
    plan,
    secrets: await to.giveSecrets(plan, values, by),
  })
  return byHolder(home, give, () =>
    inHome(home, { resume: false, sweepMs: 0, command: 'tenuto secret set' }, give),
  )
}

/** What a command did, and whether somebody is there to go on with it. */
export type Commanded = Readonly<{ receipt: CommandReceipt; plan: string; job: string | null; held: boolean }>

/**
 * Asks something of what a ref names: of the holder if there is one, else by taking the home for as long as it takes. What is
 * stopped is seen to its end; nothing is started. `waits` is told when that must wait for the journal, and when no more.
 */
export const command = async (
  home: string,
  ref: string,
  asked: Command,
  why: string | undefined,
  waits: Parameters<Runtime['onStorage']>[0],
): Promise<Commanded> => {
  const by = { by: operator(), ...(why === undefined ? {} : { why }) }
  const told = async (holder: HomeClient): Promise<Commanded> => {
    const { plan, job } = await orderTarget(holder.catalog, asked, ref)
    return { receipt: await holder.command(plan, job, asked, by), plan, job, held: true }
  }
  return byHolder(home, told, async () => {
    const { plan, job } = await readIn(home, (catalog) => orderTarget(catalog, asked, ref))
    return inHome(home, { resume: false, command: `tenuto ${asked.do}` }, async (runtime) => {
      runtime.onStorage(waits)
      const receipt = await runtime.command(plan, job, asked, by)
      if (asked.do === 'cancel') await seeToItsEnd(runtime, plan, job)
      // A job hears of its new life by mail; nobody might be there to bring it for long.
      else await Promise.race([runtime.idle(), runtime.failed])
      return { receipt, plan, job, held: false }
    })
  })
}

/**
 * Whether a home has a journal.
 * @throws {TenutoError} as whoever would take it, when it had one that is gone.
 */
export const hasJournal = (home: string): boolean => {
  const { journal } = homePaths(home)
  return existsSync(journal) || readJournalFile(journal, () => true) !== undefined
}

/** What was decided of a dead letter, and whether somebody is there to go on with it. */
export type SettledLetter = Readonly<{ receipt: CommandReceipt; held: boolean }>

/** Settles a dead letter: asks the holder of the home, or takes it for as long as that takes, and starts nothing. */
export const settleLetter = async (
  home: string,
  id: number,
  order: LetterOrder,
  why: string | undefined,
): Promise<SettledLetter> => {
  const asked = why === undefined ? {} : { why }
  const told = async (holder: HomeClient): Promise<SettledLetter> => ({
    receipt: await holder.settleLetter(id, order, asked),
    held: true,
  })
  return byHolder(home, told, async () => {
    await readIn(home, (catalog) => catalog.deadLetter(id))
    return inHome(home, { resume: false, command: `tenuto dead ${order}` }, async (runtime) => {
      const receipt = await runtime.settleLetter(id, order, { by: operator(), ...asked })
      await Promise.race([runtime.idle(), runtime.failed])
      return { receipt, held: false }
    })
  })
}

/** A mode that was ordered. `held`: somebody has heard it. */
type OrderedMode = ModeReceipt & Readonly<{ held: boolean }>

/** Orders a mode of a home: of its holder, or by taking it for as long as that takes. */
export const orderMode = (home: string, what: ModeOrder, why: string | undefined): Promise<OrderedMode> => {
  const order = { do: what, by: operator(), ...(why === undefined ? {} : { why }) }
  const give = async (to: Pick<Runtime, 'order'>, held: boolean): Promise<OrderedMode> => ({
    ...(await to.order(order)),
    held,
  })
  return byHolder(
    home,
    (holder) => give(holder, true),
    () =>
      inHome(home, { resume: false, sweepMs: 0, command: `tenuto daemon ${what}` }, (runtime) =>
        give(runtime, false),
      ),
  )
}

/**
 * Refuses to run anything here while somebody has ordered that nothing starts, unless there is `nothing` to start.
 * @throws {TenutoError} `HOME_PAUSED`.
 */
export const refusePaused = async (home: string, nothing: () => Promise<boolean>): Promise<void> => {
  const mode = readMode(homePaths(home).mode)
  if (mode.mode === 'running' || (await nothing())) return
  throw new TenutoError('HOME_PAUSED', { home, mode: modeInWords(mode) })
}

/** Whether the plan that was submitted under a key has ended, in a home that nobody serves; false where there is none. */
export const hasKeyEnded = async (home: string, key: string): Promise<boolean> => {
  const found = await (await import('../unserved.ts')).planOfKey(home, key)
  return found !== undefined && isPlanEnd(found.state)
}

/**
 * The plan that a foreground run has, or is just submitting, under a key; undefined where there is none.
 * @throws {TenutoError} `KEY_CONFLICT` when it is another than this.
 */
export const submittedAs = async (
  home: string,
  key: string | undefined,
  definition: Definition,
): Promise<string | undefined> => {
  if (key === undefined) return undefined
  const { planOfKey } = await import('../unserved.ts')
  let found = await planOfKey(home, key)
  for (let waitedMs = 0; found === undefined && waitedMs < SUBMITS_WITHIN_MS; waitedMs += LOOK_MS) {
    await pause(LOOK_MS)
    found = await planOfKey(home, key)
  }
  const { checkDefinition } = await import('../plans/define-plan.ts')
  if (found && found.hash !== definitionHash(checkDefinition(definition)))
    throw new TenutoError('KEY_CONFLICT', { key, plan: found.id })
  return found?.id
}

/** Sweeps a home: asks its holder, or takes it for as long as that takes, and starts nothing. */
export const sweepOf = (home: string, why?: string): ReturnType<Runtime['sweep']> => {
  const asked = why === undefined ? {} : { why }
  return byHolder(
    home,
    (holder) => holder.sweep(asked),
    async () => {
      if (!hasJournal(home)) return { plans: 0, repaired: [] }
      return inHome(home, { sweepMs: 0, command: 'tenuto sweep' }, async (runtime) => {
        const report = await runtime.sweep({ by: operator(), ...asked })
        await Promise.race([runtime.idle(), runtime.failed])
        return report
      })
    },
  )
}

/** What retention removed or would remove. */
export type Gc = Awaited<ReturnType<Runtime['gc']>>

/**
 * Removes what a home keeps no longer: asks its holder, or takes it for as long as that takes, and starts nothing.
 * @throws {TenutoError} `WRONG_STATE` when the journal is to be written anew while somebody holds the home.
 */
export const gcOf = (home: string, asked: GcOptions & Pick<Asker, 'why'>): Promise<Gc> => {
  const told = async (holder: HomeClient): Promise<Gc> => {
    const { pid, command } = holder.holder
    if (asked.shrink)
      throw new TenutoError('WRONG_STATE', {
        ref: home,
        state: `held by pid ${pid} (${command})`,
        what: 'its journal cannot be written anew meanwhile',
        remedy: '`tenuto down` stops a daemon; without --shrink what is free is used again',
      })
    return await holder.gc(asked)
  }
  return byHolder(home, told, async () =>
    hasJournal(home)
      ? await inHome(home, { resume: false, sweepMs: 0, command: 'tenuto gc' }, (runtime) =>
          runtime.gc({ by: operator(), ...asked }),
        )
      : nothingGone(asked.dryRun === true),
  )
}
const nothingGone = (dryRun: boolean): Gc => ({
  dry_run: dryRun,
  plans: [],
  cleared: [],
  orphans: [],
  replaced: [],
  dead_letters: 0,
  attempts: 0,
  bytes: 0,
  journal: { bytes: 0, free_bytes: 0 },
})

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
