/**
 * The real supervisor on a virtual clock beside a naive one, through any sequence of failures, requests and time.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type NaiveFlags, naiveSupervisor } from './naive-supervisor.ts'
import { rig } from './rig.ts'

const SEED = Number(process.env['TENUTO_SEED'] ?? 20_261_121)
const RUNS = 1_000

const setups = fc.record({
  strategy: fc.constantFrom('one-for-one' as const, 'one-for-all' as const, 'rest-for-one' as const),
  intensity: fc.nat({ max: 4 }),
  children: fc.array(
    fc
      .record({
        restart: fc.constantFrom(
          'permanent' as const,
          'permanent' as const,
          'transient' as const,
          'temporary' as const,
        ),
        shutdown: fc.constantFrom(1_000, 'brutal' as const),
        vital: fc.boolean(),
      })
      // A temporary one is never given up, and may not say that it is vital.
      .map((spec) => ({ ...spec, vital: spec.vital && spec.restart !== 'temporary' })),
    { minLength: 1, maxLength: 5 },
  ),
})
const pick = fc.nat({ max: 5 })
const stories = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('crash' as const), pick }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('finish' as const), pick }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('spoil' as const),
        pick,
        times: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('pass' as const),
        ms: fc.constantFrom(10, 99, 100, 101, 400, 2_000, 6_000),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom('stop' as const, 'restart' as const, 'delete' as const, 'clear' as const),
        pick,
      }),
    },
  ),
  { maxLength: 40 },
)

test('a supervisor does what a naive one does: the same children in the same states, started and stopped in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(setups, stories, async ({ strategy, intensity, children }, story) => {
      const { child, up, clock, quiet, log } = rig()
      const flags: NaiveFlags = {
        strategy,
        intensity,
        periodMs: 5_000,
        backoff: { minMs: 100, maxMs: 800, resetAfterMs: 1_500 },
      }
      const specs = children.map((each, at) => ({ id: `c${at}`, ...each }))
      const real = specs.map(({ id, ...spec }) => child(id, spec))
      const spoilt = new Map<string, number>()
      const naive = naiveSupervisor(flags, specs, (id) => {
        const left = spoilt.get(id) ?? 0
        spoilt.set(id, Math.max(0, left - 1))
        return left > 0
      })
      const sup = await up({ ...flags, backoff: { ...flags.backoff, jitter: 0 } }, real)

      for (const happening of story) {
        if (happening.do === 'pass') {
          naive.pass(happening.ms)
          await clock.advance(happening.ms)
        } else {
          const at = happening.pick % real.length
          const [id, one] = [`c${at}`, real[at]]
          if (happening.do === 'spoil') {
            spoilt.set(id, happening.times)
            if (one) one.script.failStarts = happening.times
          } else if (happening.do === 'crash' || happening.do === 'finish') {
            naive.exit(id, happening.do === 'crash')
            await (happening.do === 'crash' ? one?.crash() : one?.exit())
          } else {
            const expected = naive.ask(happening.do, id)
            let answer: boolean | undefined
            void sup[`${happening.do}Child`](id).then(({ ok }) => {
              answer = ok
            })
            await quiet()
            if (answer !== undefined) expect(answer, `${happening.do} ${id}`).toBe(expected)
          }
        }
        expect(sup.list().map((each) => [each.id, each.state, each.incarnation])).toEqual(naive.list())
        expect(log('started', 'stopped').map((line) => line.replace(/ \(.*/, ''))).toEqual(naive.log)
        expect(sup.tree().state === 'ended').toBe(naive.isEnded())
      }
    }),
    { seed: SEED, numRuns: RUNS },
  )
})
