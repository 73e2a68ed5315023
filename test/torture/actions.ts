/** What is done to a siege: one action a cycle, drawn by weight, at a moment drawn by chance. */
import { pause } from '../../src/clock.ts'
import type { Random } from '../../src/ids.ts'
import { sendSignal } from '../../src/process.ts'
import { between, oneOf } from './shapes.ts'
import { hasEnded, type Siege } from './siege.ts'

type Action = Readonly<{ name: string; weight: number; act: (siege: Siege) => Promise<void> }>

const restUpTo = (random: Random, ms: number): Promise<void> => pause(between(random, 0, ms))

/** Signals every runner of the home; there are two for a moment, when one leaves and the next begins. */
const signalRunners = ({ home, tell }: Siege, signal: NodeJS.Signals): readonly number[] => {
  const pids = home.runners()
  for (const pid of pids) sendSignal(pid, signal)
  if (pids.length > 0) tell(`${signal} to the runner ${pids.join(', ')}`)
  return pids
}
const endDaemon = async (siege: Siege, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
  siege.tell(`${signal} to the daemon ${siege.daemon()?.pid}`)
  await siege.end(signal)
}
const stopRunners = async (siege: Siege, meanwhile: () => Promise<void>): Promise<void> => {
  const stopped = signalRunners(siege, 'SIGSTOP')
  await meanwhile()
  for (const pid of stopped) sendSignal(pid, 'SIGCONT')
  siege.tell('SIGCONT to the runner')
}
const REFS = { cancel: 'either', pause: 'plan', continue: 'plan', retry: 'either', skip: 'job' } as const

const askFor = async (siege: Siege): Promise<void> => {
  const { random, command, look, tell } = siege
  const what = oneOf(random, Object.keys(REFS) as (keyof typeof REFS)[])
  const { plans, jobs } = await look()
  const open = plans.filter((plan) => what === 'retry' || !hasEnded(plan))
  if (open.length === 0) return
  const plan = oneOf(random, open).id
  const names = jobs.filter((job) => job.plan === plan).map(({ name }) => `${plan}/${name}`)
  const isPlan = REFS[what] === 'plan' || (REFS[what] === 'either' && random() < 0.3)
  const ref = isPlan ? plan : oneOf(random, names)
  const { code } = await command(what, ref)
  tell(`${what} ${ref}: ${code}`)
}

const ACTIONS: readonly Action[] = [
  { name: 'kill daemon', weight: 22, act: (siege) => endDaemon(siege, 'SIGKILL') },
  {
    name: 'kill runner',
    weight: 14,
    act: async (siege) => {
      signalRunners(siege, 'SIGKILL')
    },
  },
  {
    name: 'kill both',
    weight: 10,
    act: async (siege) => {
      const isDaemonFirst = siege.random() < 0.5
      if (!isDaemonFirst) signalRunners(siege, 'SIGKILL')
      await endDaemon(siege, 'SIGKILL')
      if (isDaemonFirst) signalRunners(siege, 'SIGKILL')
    },
  },
  {
    name: 'kill beginning',
    weight: 8,
    act: async (siege) => {
      await endDaemon(siege, 'SIGKILL')
      siege.rise()
      await restUpTo(siege.random, 700)
      await endDaemon(siege, 'SIGKILL')
    },
  },
  {
    name: 'hold daemon',
    weight: 8,
    act: async (siege) => {
      siege.tell('SIGSTOP to the daemon')
      siege.daemon()?.signal('SIGSTOP')
      await restUpTo(siege.random, 2_000)
      siege.daemon()?.signal('SIGCONT')
    },
  },
  {
    name: 'hold runner',
    weight: 8,
    act: (siege) => stopRunners(siege, () => restUpTo(siege.random, 2_000)),
  },
  {
    name: 'hold runner, kill daemon',
    weight: 6,
    act: (siege) =>
      stopRunners(siege, async () => {
        await endDaemon(siege, 'SIGKILL')
        siege.rise()
        await restUpTo(siege.random, 2_000)
      }),
  },
  { name: 'stop daemon', weight: 8, act: (siege) => endDaemon(siege, 'SIGTERM') },
  {
    name: 'kill job',
    weight: 4,
    act: async ({ home, random, tell }) => {
      const marked = home.marked()
      if (marked.length === 0) return
      const { pid, key } = oneOf(random, marked)
      // Of an attempt whose group is not its own process's the rest would go on, and say that all went well.
      if (sendSignal(-pid, 0) && sendSignal(-pid, 'SIGKILL')) tell(`SIGKILL to the group of ${key}`)
    },
  },
  { name: 'ask', weight: 12, act: askFor },
]

const TOTAL = ACTIONS.reduce((sum, { weight }) => sum + weight, 0)

/** Draws an action. */
export const drawAction = (random: Random): Action => {
  let at = random() * TOTAL
  return ACTIONS.find(({ weight }) => (at -= weight) < 0) ?? (ACTIONS[0] as Action)
}
