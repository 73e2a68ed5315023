/**
 * A siege: a home whose daemon is kept up whatever is done to it, with plans that are submitted until they are taken, and what has been
 * seen of them. Whatever happens that nobody here has brought about is a fault.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/ids.ts'
import type { Daemon, PackedHome, Said } from './home.ts'
import { drawShape, oneOf, planText, type Shape } from './shapes.ts'

/** A plan as `ls` and `show` have it. */
export type Seen = Readonly<{ id: string; state: string; reason: string | null }>
/** A job as `ls jobs` has it. */
export type SeenJob = Readonly<{ plan: string; name: string; state: string; reason: string | null }>

/** A plan that was, or is to be, submitted; its id is known when it was taken. */
export type Submission = {
  readonly key: string
  readonly shape: Shape
  readonly file: string
  id?: string
  state?: string
}

/** What goes on in a home under torture. */
export type Siege = Readonly<{
  home: PackedHome
  random: Random
  submissions: readonly Submission[]
  faults: readonly string[]
  fault: (what: string) => void
  /** Notes what is done now; the last of it is shown when something goes wrong. */
  tell: (what: string) => void
  story: readonly string[]
  /** The daemon that was started last. */
  daemon: () => Daemon | undefined
  /** Starts a daemon where none lives, without waiting for it. */
  rise: () => void
  /** Waits until a daemon serves; starts it where none lives. */
  serve: () => Promise<void>
  /** Signals the daemon, which may end it; answers when it has ended, for a signal that ends it. */
  end: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>
  /** Runs a command whose refusal is no fault; what is none of its exit codes is. */
  command: (...args: readonly string[]) => Promise<Said>
  /** Takes a plan in, to be submitted. */
  adopt: (submission: Submission) => void
  /** Draws a plan, to be submitted. */
  draw: () => void
  /** Submits what was not taken yet; a daemon that is gone takes nothing. */
  submit: () => Promise<void>
  /** Looks at plans and jobs; empty where nothing could be read at this moment. */
  look: () => Promise<Readonly<{ plans: readonly Seen[]; jobs: readonly SeenJob[] }>>
  /** Does what a person would: goes on with what is held, decides what was lost. */
  attend: () => Promise<void>
  /** Does something beside everything else. */
  beside: (what: Promise<unknown>) => void
  /** Waits for all that was begun beside. */
  together: () => Promise<void>
}>

/** Commands end with these: done, refused, or nobody there. */
const ALLOWED = new Set([0, 1, 4, 5, 7, 9, 10, 11])
const ENDS = new Set(['succeeded', 'failed', 'cancelled'])
const STARTS_TRIED_MAX = 50
const EMPTY = { plans: [], jobs: [] }

/** Whether a plan has ended. */
export const hasEnded = ({ state }: Readonly<{ state?: string }>): boolean => ENDS.has(state ?? '')

/** A siege of a home; nothing is started yet. */
export const siegeOf = (home: PackedHome, random: Random): Siege => {
  const submissions: Submission[] = []
  const faults: string[] = []
  const story: string[] = []
  const going = new Set<Promise<unknown>>()
  let current: Readonly<{ daemon: Daemon; expected: { end: boolean } }> | undefined
  let submitting: Promise<void> | undefined

  const fault = (what: string): void => {
    faults.push(what)
    tell(`FAULT: ${what}`)
  }
  const tell = (what: string): void => void story.push(what)

  const rise = (): void => {
    if (current !== undefined && !current.daemon.hasEnded()) return
    const daemon = home.up()
    const expected = { end: false }
    current = { daemon, expected }
    void daemon.ended.then(({ code, signal }) => {
      // Somebody's command may hold the home for a moment: then this one was refused, and is tried again.
      if (expected.end || (code === 5 && daemon.err().includes('HOME_HELD'))) return
      fault(`the daemon ${daemon.pid} ended by itself with ${signal ?? code}: ${daemon.err()}`)
    })
  }
  const serve = async (): Promise<void> => {
    for (let tries = 0; tries < STARTS_TRIED_MAX && faults.length === 0; tries += 1) {
      rise()
      if (await current?.daemon.serving) return
      await current?.daemon.ended
    }
    fault('no daemon serves')
  }
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (current === undefined || current.daemon.hasEnded()) return
    const { daemon, expected } = current
    expected.end = true
    daemon.signal(signal)
    const ended = await daemon.ended
    const isClean = ended.code === 0 || ended.signal === 'SIGTERM'
    if (signal === 'SIGTERM' && !isClean)
      fault(`told to stop, the daemon ended with ${ended.code}: ${daemon.err()}`)
  }

  const command = async (...args: readonly string[]): Promise<Said> => {
    try {
      const said = await home.tenuto(...args)
      if (!ALLOWED.has(said.code ?? -1))
        fault(`tenuto ${args.join(' ')} ended with ${said.code}: ${said.err}`)
      return said
    } catch (error) {
      fault(String(error))
      return { code: null, out: '', err: '' }
    }
  }
  const submitAll = async (): Promise<void> => {
    for (const each of submissions.filter(({ id }) => id === undefined)) {
      const { code, out } = await command('run', each.file, '--detach', '--json', '--key', each.key)
      if (code !== 0) return
      each.id = (JSON.parse(out) as { plan: string }).plan
      tell(`${each.id} taken`)
    }
  }
  const submit = (): Promise<void> => {
    submitting ??= submitAll().finally(() => {
      submitting = undefined
    })
    return submitting
  }
  const draw = (): void => {
    const key = `k${submissions.length}`
    const shape = drawShape(random)
    const file = join(home.folder, `${key}.plan.yaml`)
    writeFileSync(
      file,
      planText(shape, `${shape.kind}-${key}`, home.ledger, oneOf(random, ['hold', 'hold', 'retry', 'fail'])),
    )
    submissions.push({ key, shape, file })
  }

  const read = async <T>(...args: readonly string[]): Promise<T | undefined> => {
    const { code, out } = await command(...args, '--json')
    return code === 0 ? (JSON.parse(out) as T) : undefined
  }
  const look = async () => {
    const plans = await read<Seen[]>('ls', 'plans')
    const jobs = await read<SeenJob[]>('ls', 'jobs')
    for (const { id, state } of plans ?? []) {
      const of = submissions.find((each) => each.id === id)
      if (of) of.state = state
    }
    return plans && jobs ? { plans, jobs } : EMPTY
  }
  const attend = async (): Promise<void> => {
    const { plans, jobs } = await look()
    for (const { id, state } of plans) {
      if (state === 'paused' || state === 'quarantined') await decide('continue', id, state)
    }
    for (const { plan, name, state, reason } of jobs) {
      if (state === 'waiting') await decide(oneOf(random, ['retry', 'skip']), `${plan}/${name}`, reason ?? '')
    }
  }
  const decide = async (what: string, ref: string, why: string): Promise<void> => {
    tell(`${what} ${ref} (${why})`)
    await command(what, ref)
  }

  const beside = (what: Promise<unknown>): void => {
    const one: Promise<unknown> = what
      .catch((error: unknown) => fault(`here: ${error instanceof Error ? error.stack : String(error)}`))
      .finally(() => going.delete(one))
    going.add(one)
  }
  const together = async (): Promise<void> => {
    await Promise.all([...going])
  }

  return {
    home,
    random,
    submissions,
    faults,
    fault,
    tell,
    story,
    daemon: () => current?.daemon,
    rise,
    serve,
    end,
    command,
    adopt: (submission) => void submissions.push(submission),
    draw,
    submit,
    look,
    attend,
    beside,
    together,
  }
}
