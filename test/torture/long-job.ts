/** A job that outlives one daemon after the other: one attempt, one process, each line once, its end from its record. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attemptDir, FILES, readExitRecord } from '../../src/attempt.ts'
import { pause } from '../../src/clock.ts'
import { counting, planText } from './shapes.ts'
import type { Siege } from './siege.ts'

const KILLS = 10
const REST_SECONDS = 0.1

/** Runs a job of so many seconds in a home that is served, and kills its daemon ten times meanwhile, at random moments. */
export const outliveDaemons = async (siege: Siege, seconds: number): Promise<void> => {
  const { home, random, command, tell, serve } = siege
  const { run, log } = counting(Math.round(seconds / REST_SECONDS), String(REST_SECONDS))
  const file = join(home.folder, 'long.plan.yaml')
  const shape = { kind: 'long', jobs: { a: { run } }, logs: { a: log } }
  writeFileSync(file, planText(shape, 'long', home.ledger, 'hold'))
  siege.adopt({ key: 'long', shape, file })
  await siege.submit()

  for (let kills = 0; kills < KILLS; kills += 1) {
    await pause(Math.round((random() * seconds * 1_000) / KILLS))
    tell(`SIGKILL to the daemon ${siege.daemon()?.pid}, under the long job`)
    await siege.end('SIGKILL')
    await serve()
  }
  const { code } = await command('resume', 'long', '--no-input')
  const { attempts } = JSON.parse((await command('show', 'long/a', '--json')).out) as {
    attempts: readonly Readonly<{ pid: number; outcome: string; started_at: string; ended_at: string }>[]
  }
  const [attempt] = attempts
  const plan = siege.submissions.find(({ key }) => key === 'long')?.id ?? ''
  const path = join(attemptDir(home.home, plan, 'a', 1), FILES.exit)
  const record = readExitRecord(readFileSync(path, 'utf8'))
  const isWell =
    code === 0 &&
    attempts.length === 1 &&
    attempt?.outcome === 'succeeded' &&
    attempt.pid === record?.pid &&
    Date.parse(attempt.started_at) === record.startedAt &&
    Date.parse(attempt.ended_at) === record.endedAt &&
    (record.durationMs ?? 0) >= seconds * 1_000
  if (!isWell)
    siege.fault(`the long job: exit ${code}, ${JSON.stringify(attempts)}, ${JSON.stringify(record)}`)
}
