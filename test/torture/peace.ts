/**
 * The end of a siege: everything settles, and then everything is counted: what the auditor says, what the jobs wrote, what still lives,
 * what was left open.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { attemptDir, FILES } from '../../src/attempt.ts'
import { pause, systemClock } from '../../src/clock.ts'
import { descriptorsOf, linesOf, unnoticedOf } from './home.ts'
import { type Attempt, attemptsIn, judgeLedger } from './ledger.ts'
import { hasEnded, type Seen, type Siege } from './siege.ts'

/** Nothing may stand still for longer. */
const SETTLES_WITHIN_MS = 120_000
const LOOK_MS = 250
/** A runner with nothing to watch and nobody to serve leaves after five seconds. */
const LEAVES_WITHIN_MS = 30_000
/** What a daemon and a runner may have open beyond what they had when they were young. */
const DESCRIPTORS_MORE_MAX = 8

/** How many descriptors daemon and runner have open. */
export type Descriptors = Readonly<{ daemon: number; runner: number }>

/** Goes on until every plan has ended; a fault when nothing has changed for long. */
export const settle = async (siege: Siege): Promise<void> => {
  const { submissions, attend, serve, submit, command, fault, faults } = siege
  let before = ''
  let since = systemClock.monotonic()
  while (faults.length === 0) {
    await serve()
    await submit()
    await attend()
    for (const each of submissions.filter((one) => one.id !== undefined && !hasEnded(one))) {
      const { code, out } = await command('show', each.id ?? '', '--json')
      if (code === 0) each.state = (JSON.parse(out) as Seen).state
    }
    const open = submissions.filter((each) => !hasEnded(each))
    if (open.length === 0) return
    const { jobs } = await siege.look()
    const now = JSON.stringify([open.map(({ id, state }) => [id, state]), jobs])
    if (now !== before) since = systemClock.monotonic()
    before = now
    if (systemClock.monotonic() - since > SETTLES_WITHIN_MS)
      fault(`these stand still: ${open.map(({ key, id, state }) => `${id ?? key} ${state}`).join(', ')}`)
    await pause(LOOK_MS)
  }
}

/** How many descriptors are open now, while a daemon serves and its runner lives. */
export const descriptors = ({ daemon, home }: Siege): Descriptors => {
  const [runner = 0] = home.runners()
  return { daemon: descriptorsOf(daemon()?.pid ?? 0) ?? 0, runner: descriptorsOf(runner) ?? 0 }
}

/** What the whole siege came to. */
export type Account = Readonly<{
  attempts: readonly Attempt[]
  ledgerLines: number
  repairs: Readonly<Record<string, number>>
  recovered: Readonly<Record<string, number>>
  descriptors: Descriptors
}>

/** Counts everything; what is wrong becomes a fault. Nobody holds the home afterwards. */
export const account = async (siege: Siege, young: Descriptors): Promise<Account> => {
  const { home, fault } = siege
  const old = descriptors(siege)
  for (const who of ['daemon', 'runner'] as const) {
    if (old[who] > young[who] + DESCRIPTORS_MORE_MAX)
      fault(`the ${who} had ${young[who]} descriptors open, and has ${old[who]}`)
  }
  for (const pid of [...home.runners(), siege.daemon()?.pid ?? 0]) {
    const left = unnoticedOf(pid)
    if (left.length > 0) fault(`pid ${pid} has not taken notice of the end of ${left.join(', ')}`)
  }
  const { counts } = JSON.parse((await siege.command('status', '--json')).out) as {
    counts: { dead_letters: number }
  }
  if (counts.dead_letters > 0) fault(`there are ${counts.dead_letters} dead letters`)
  await audit(siege, 'while it is served')
  await siege.end('SIGTERM')
  await nobodyLeft(siege)
  await audit(siege, 'when nobody holds it')

  const attempts = attemptsIn(join(home.home, 'journal.db'))
  const lines = linesOf(home.ledger)
  for (const wrong of judgeLedger(lines, attempts)) fault(wrong)
  for (const wrong of judgeLogs(siege, attempts)) fault(wrong)
  const plans = new Set(attempts.map(({ plan }) => plan))
  for (const { id } of siege.submissions) plans.delete(id ?? '')
  if (plans.size > 0) fault(`nobody submitted ${[...plans].join(', ')}`)
  for (const line of linesOf(join(home.home, 'runner.log'))) {
    if (line.includes('stopped by')) fault(`a runner broke: ${line}`)
  }
  const notes = await notesIn(siege)
  return { attempts, ledgerLines: lines.length, ...notes, descriptors: old }
}

const audit = async ({ home, fault }: Siege, when: string): Promise<void> => {
  const { out, err } = await home.tenuto('doctor', '--audit', '--json')
  const { checks } = JSON.parse(out) as { checks: readonly Readonly<{ name: string; findings?: object[] }>[] }
  if (!checks.some(({ name }) => name === 'audit')) fault(`there was no audit ${when}: ${out}${err}`)
  const findings = checks.flatMap(({ findings: some = [] }) => some)
  for (const finding of findings.slice(0, 20)) fault(`audit ${when}: ${JSON.stringify(finding)}`)
}

const nobodyLeft = async ({ home, fault }: Siege): Promise<void> => {
  const began = systemClock.monotonic()
  const left = () => [
    ...home.runners().map((pid) => `runner ${pid}`),
    ...home.marked().map(({ pid, key }) => `${pid} of ${key}`),
  ]
  while (left().length > 0 && systemClock.monotonic() - began < LEAVES_WITHIN_MS) await pause(LOOK_MS)
  if (left().length > 0) fault(`these still live: ${left().join(', ')}`)
}

/** Every succeeded attempt has written its log to the last byte, and each byte once. */
const judgeLogs = ({ home, submissions }: Siege, attempts: readonly Attempt[]): readonly string[] => {
  const logs = new Map(submissions.map(({ id, shape }) => [id ?? '', shape.logs]))
  return attempts
    .filter(({ outcome }) => outcome === 'succeeded')
    .flatMap(({ plan, job, n }) => {
      const path = join(attemptDir(home.home, plan, job, n), FILES.log)
      const log = readFileSync(path)
      const wanted = Buffer.from(logs.get(plan)?.[job] ?? '')
      return log.equals(wanted)
        ? []
        : [
            `the log of ${plan}/${job}#${n} has ${log.length} bytes, and not the ${wanted.length} that were written`,
          ]
    })
}

type Noted = Readonly<{
  address?: string
  type: string
  job?: string
  detail?: Readonly<{ found?: string; kind?: string }>
}>
const notesIn = async ({ home }: Siege) => {
  const repairs: Record<string, number> = {}
  const recovered: Record<string, number> = {}
  const { out } = await home.tenuto('events', '--json')
  for (const line of out.trim().split('\n')) {
    const { address, type, job, detail = {} } = JSON.parse(line) as Noted
    if (!address?.startsWith('note:')) continue
    const { found = '', kind = '' } = detail
    if (type === 'sweep.repaired') repairs[kind] = (repairs[kind] ?? 0) + 1
    if (type === 'recovered' && job !== undefined) recovered[found] = (recovered[found] ?? 0) + 1
    if (type === 'quarantined') recovered['quarantined'] = (recovered['quarantined'] ?? 0) + 1
  }
  return { repairs, recovered }
}
