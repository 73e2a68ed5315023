/**
 * A store that is away: who can ask again hears it at once, and nothing of what they asked happens; what cannot be asked again waits.
 */
import { expect, onTestFinished, test } from 'vitest'
import { outage, type StorageState } from '../../src/actors/outage.ts'
import { jobAddress, planAddress } from '../../src/address.ts'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import { seededRandom } from '../../src/ids.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { planOf, rowOf } from '../support/definitions.ts'
import { type Life, openLife, PLAN } from '../support/life.ts'

const FOR_EVER = Number.POSITIVE_INFINITY
const full = (): TenutoError => new TenutoError('STORE_FULL', { path: 'memory', why: 'the test says so' })
/** What became of it, once that is known. */
const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'done',
    (error: unknown) => (isTenutoError(error) ? error.code : String(error)),
  )
/** A life with one plan, whose store has just gone away for good, and which knows it. */
const awayLife = async (jobs: Parameters<typeof planOf>[0] = { a: {}, b: {} }): Promise<Life> => {
  const life = await openLife()
  onTestFinished(() => life.host().stop())
  await life.submit(planOf(jobs))
  life.failCommits(FOR_EVER)
  const asked = codeOf(life.tell('a', 'cancel.requested'))
  await life.clock.advance(1_000)
  expect(await asked).toBe('STORE_FULL')
  return life
}
const comeBack = async (life: Life): Promise<void> => {
  life.failCommits(0)
  await life.clock.advance(5_000)
  await life.quiet()
}

test('one failure is no outage: the commit is made again soon and nobody hears of it', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.failCommits(1)

  const asked = codeOf(life.tell('a', 'cancel.requested'))
  await life.clock.advance(100)

  expect(await asked).toBe('done')
  expect(life.host().storage()).toEqual({ status: 'ok' })
  expect(life.logged).toEqual([])
  expect((await life.job('a')).state).toBe('stopping')
})

test('from the second failure on whoever asks is refused, whether before or during the outage, and nothing of it happens later', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  const before = await life.journal().steps({ after: 0, limit: 1_000 })
  life.failCommits(FOR_EVER)

  const first = [
    codeOf(life.tell('a', 'cancel.requested')),
    codeOf(life.host().submit({ row: rowOf('q-aaaaaa', 0), definition: planOf({ a: {} }) })),
  ]
  await life.clock.advance(1_000)
  expect(await Promise.all(first)).toEqual(['STORE_FULL', 'STORE_FULL'])
  const later = [
    codeOf(life.tell('b', 'cancel.requested')),
    codeOf(life.tell(null, 'pause.requested')),
    codeOf(life.host().submit({ row: rowOf('q-bbbbbb', 0), definition: planOf({ a: {} }) })),
    codeOf(life.host().sweep(0)),
    codeOf(life.host().between(async () => {})),
  ]
  // No clock moves: they are answered at once.
  expect(await Promise.all(later)).toEqual(Array.from({ length: 5 }, () => 'STORE_FULL'))
  await comeBack(life)

  expect(await life.journal().steps({ after: 0, limit: 1_000 })).toEqual(before)
  expect((await life.journal().plans()).map(({ id }) => id)).toEqual([PLAN])
  expect([...life.host().residents.keys()]).toEqual([PLAN])
  expect(life.failures).toEqual([])
})

test('what was refused can be asked again as soon as the store is back, though nothing was pending meanwhile', async () => {
  const life = await awayLife()
  await life.clock.advance(60_000)
  expect(await codeOf(life.tell('a', 'cancel.requested'))).toBe('STORE_FULL')

  await comeBack(life)

  expect(life.host().storage()).toEqual({ status: 'ok' })
  expect(await codeOf(life.tell('a', 'cancel.requested'))).toBe('done')
  expect((await life.job('a')).state).toBe('stopping')
  expect(await codeOf(life.host().submit({ row: rowOf('q-aaaaaa', 0), definition: planOf({ a: {} }) }))).toBe(
    'done',
  )
})

test('what nobody would tell again waits for the store, in its order', async () => {
  const life = await awayLife({ a: {}, b: {}, c: { needs: ['a', 'b'] } })

  life.attempts.end('a', 'succeeded')
  life.attempts.end('b', 'exit')
  await life.clock.advance(30_000)
  expect((await life.job('a')).state).toBe('running')
  await comeBack(life)

  expect(await life.job('a')).toMatchObject({ state: 'succeeded' })
  expect(await life.job('b')).toMatchObject({ state: 'failed' })
  expect(await life.job('c')).toMatchObject({ state: 'skipped' })
  expect((await life.plan()).state).toBe('failed')
})

test('a refused command does not bring in the plan it was for', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  const host = life.host()
  await host.stop()
  await life.journal().close()
  const next = await openLife()
  onTestFinished(() => next.host().stop())
  await next.host().submit({ row: rowOf('q-aaaaaa', 0), definition: planOf({ a: {} }) })
  next.failCommits(FOR_EVER)
  const one = codeOf(next.host().offer(jobAddress('q-aaaaaa', 'a'), { type: 'cancel.requested', at: 0 }))
  const other = codeOf(next.host().offer(planAddress(PLAN), { type: 'cancel.requested', at: 0 }))
  await next.clock.advance(1_000)
  expect([await one, await other]).toEqual(['STORE_FULL', 'STORE_FULL'])
  let read = 0
  const { aside } = next.journal()
  Object.assign(next.journal(), {
    aside: (plan: string) => {
      if (plan === PLAN) read += 1
      return aside(plan)
    },
  })

  await comeBack(next)

  expect(read).toBe(0)
  expect([...next.host().residents.keys()]).toEqual(['q-aaaaaa'])
})

test('a commit that happened unseen is acknowledged, also in an outage', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {}, b: {} }))
  life.failCommits(1)
  life.loseAcknowledgements(1)

  const cancelled = life.tell('a', 'cancel.requested')
  const submitted = codeOf(life.host().submit({ row: rowOf('q-aaaaaa', 0), definition: planOf({ a: {} }) }))
  await life.clock.advance(1_000)

  expect(await cancelled).toMatchObject({ taken: true, state: 'stopping' })
  expect(await submitted).toBe('done')
  await life.quiet()
  expect((await life.story('a')).filter((step) => step.startsWith('cancel'))).toHaveLength(1)
  // Whoever follows is shown it too.
  expect(life.shown.map(({ position }) => position)).toEqual(
    (await life.journal().steps({ after: 0, limit: 1_000 })).map(({ position }) => position),
  )
})

test('a plan is taken up while nothing can be written, and goes on when something can', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  await life.host().stop()
  life.failCommits(FOR_EVER)

  const reloading = life.restart()
  await life.clock.advance(10_000)
  expect([...life.host().residents.keys()]).toEqual([PLAN])
  expect(life.host().storage().status).toBe('unavailable')
  expect(await codeOf(life.host().takeUp(PLAN))).toBe('done')
  await comeBack(life)
  await reloading
  life.attempts.end('a', 'succeeded')
  await life.quiet()

  expect((await life.plan()).state).toBe('succeeded')
})

test('stopping amid an outage is possible, and answers everybody', async () => {
  const life = await openLife()
  await life.submit(planOf({ a: {} }))
  life.failCommits(FOR_EVER)

  const asked = codeOf(life.tell('a', 'cancel.requested'))
  await life.host().stop()

  expect(['STOPPED', 'STORE_FULL']).toContain(await asked)
  expect(await codeOf(life.tell('a', 'cancel.requested'))).toBe('STOPPED')
  expect(life.clock.pending()).toBe(0)
})

test('an outage says since when, why, how often and when next; its beginning and its end are logged once', async () => {
  const clock = virtualClock(0)
  const said: string[] = []
  const changes: StorageState[] = []
  const tried: number[] = []
  const store = outage({
    clock,
    log: {
      info: (_, message) => said.push(message),
      warn: (_, message) => said.push(message),
    },
    retry: () => {
      tried.push(clock.now())
      store.failed(full())
    },
    changed: (state) => changes.push(state),
  })

  store.failed(full())
  expect(store.state()).toEqual({ status: 'ok' })
  await clock.advance(60_000)

  const waits = tried.map((at, which) => at - (tried[which - 1] ?? 0))
  expect(waits.slice(0, 9)).toEqual([50, 50, 100, 200, 400, 800, 1600, 3200, 5000])
  expect(Math.max(...waits)).toBe(5_000)
  expect(store.state()).toMatchObject({
    status: 'unavailable',
    since: 0,
    tries: tried.length + 1,
    nextTryAt: (tried.at(-1) ?? 0) + 5_000,
  })
  store.worked()
  expect(store.state()).toEqual({ status: 'ok' })
  expect(store.refusal()).toBeUndefined()
  expect(clock.pending()).toBe(0)
  expect(said).toEqual([
    'the store cannot be written; nothing is acknowledged until it can',
    'the store can be written again',
  ])
  expect(changes.map(({ status }) => status)).toEqual(['unavailable', 'ok'])
})

test('with a store that fails at random, each acknowledged request is in the journal and each refused one is not', async () => {
  const answered = { done: 0, STORE_FULL: 0, paused: 0, unpaused: 0 }
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = seededRandom(seed)
    const life = await openLife({ seed })
    const odds = random()
    life.disk.faults.beforeCommit = () => {
      if (random() < odds) throw full()
    }
    life.disk.faults.afterCommit = () => {
      if (random() < odds / 4) throw full()
    }
    const ids = Array.from({ length: 60 }, (_, at) => `q-${String(at).padStart(6, 'a')}`)
    const answers: Promise<readonly [string, string]>[] = []
    const commands: Promise<readonly [string, string]>[] = []
    for (const id of ids) {
      const row = rowOf(id, life.clock.now())
      const submitted = codeOf(life.host().submit({ row, definition: planOf({ a: {} }) }))
      answers.push(
        submitted.then((code) => {
          if (code === 'done') {
            const paused = life.host().offer(planAddress(id), { type: 'pause.requested', at: 0 })
            commands.push(codeOf(paused).then((told) => [id, told]))
          }
          return [id, code]
        }),
      )
      if (random() < 0.3) await life.clock.advance(random() * 120)
    }
    await life.clock.advance(2_000)
    life.disk.faults.beforeCommit = undefined
    life.disk.faults.afterCommit = undefined
    await life.clock.advance(10_000)
    const told = await Promise.all(answers)
    await life.quiet()

    const known = new Set((await life.journal().plans({ limit: 1_000 })).map(({ id }) => id))
    for (const [id, code] of told) {
      answered[code as 'done' | 'STORE_FULL'] += 1
      expect([seed, id, known.has(id)]).toEqual([seed, id, code === 'done'])
    }
    const steps = await life.journal().steps({ after: 0, limit: 10_000 })
    const paused = new Map<string, number>()
    for (const { address, type } of steps)
      if (type === 'pause.requested') paused.set(address, (paused.get(address) ?? 0) + 1)
    for (const [id, code] of await Promise.all(commands)) {
      answered[code === 'done' ? 'paused' : 'unpaused'] += 1
      expect([seed, id, paused.get(planAddress(id)) ?? 0]).toEqual([seed, id, code === 'done' ? 1 : 0])
    }
    expect(life.failures).toEqual([])
    await life.host().stop()
  }
  // A store that fails never or always proves nothing.
  expect(Math.min(...Object.values(answered))).toBeGreaterThan(20)
})
