/**
 * The real supervisor with children that take their time, or all the time there is, to start and to stop, and fail meanwhile.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rig, type Script } from './rig.ts'

const SEED = Number(process.env['TENUTO_SEED'] ?? 20_261_121)
const RUNS = 300

const scripts: fc.Arbitrary<Script> = fc
  .record({
    startDelayMs: fc.constantFrom(null, null, 10, 100, 400),
    onStop: fc.constantFrom('exit' as const, 'ignore' as const, 'crash' as const, 30, 90, 250),
  })
  .map(({ startDelayMs, onStop }) => (startDelayMs === null ? { onStop } : { startDelayMs, onStop }))
const setups = fc.record({
  strategy: fc.constantFrom(
    'one-for-one' as const,
    'one-for-all' as const,
    'rest-for-one' as const,
    'dynamic' as const,
  ),
  children: fc.array(
    fc
      .record({
        script: scripts,
        restart: fc.constantFrom(
          'permanent' as const,
          'permanent' as const,
          'transient' as const,
          'temporary' as const,
        ),
        shutdown: fc.constantFrom(0, 100, 100, 'brutal' as const),
        vital: fc.constantFrom(false, false, false, true),
      })
      // A temporary one is never given up, and may not say that it is vital.
      .map((spec) => ({ ...spec, vital: spec.vital && spec.restart !== 'temporary' })),
    { minLength: 1, maxLength: 4 },
  ),
})
const pick = fc.nat({ max: 4 })
const stories = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'spoil' as const), pick }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 20, 60, 150, 500) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom(
          'add' as const,
          'stop' as const,
          'restart' as const,
          'delete' as const,
          'clear' as const,
        ),
        pick,
      }),
    },
  ),
  { minLength: 5, maxLength: 30, size: 'max' },
)

test('whatever children do and whenever: never two of one name at once; told to stop, all stop in time, and nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(setups, stories, async ({ strategy, children }, story) => {
      const { child, supervisor, clock, quiet } = rig()
      const isDynamic = strategy === 'dynamic'
      const all = children.map(({ script, ...spec }, at) => child(`c${at}`, spec, { ...script }))
      const flags = {
        strategy,
        intensity: 3,
        periodMs: 2_000,
        startTimeoutMs: 300,
        backoff: { minMs: 20, maxMs: 200 },
      }
      const sup = supervisor(flags, isDynamic ? all.slice(0, 1) : all)
      const answers: Promise<unknown>[] = [sup.start().catch(() => null)]
      const check = (): void => {
        // A dynamic supervisor has several of one script at once.
        if (!isDynamic) for (const each of all) expect(each.alive().length).toBeLessThanOrEqual(1)
        const { children: shown } = sup.tree()
        expect(new Set(shown.map(({ id }) => id)).size).toBe(shown.length)
      }

      for (const happening of story) {
        if (happening.do === 'pass') await clock.advance(happening.ms)
        else {
          const one = all[happening.pick % all.length]
          const id = `c${happening.pick % all.length}`
          if (happening.do === 'crash') await one?.crash()
          else if (happening.do === 'spoil') Object.assign(one?.script ?? {}, { failStarts: 1 })
          else if (happening.do === 'add')
            answers.push(sup.startChild(isDynamic ? { id } : (one?.spec ?? { id, start: () => ({}) })))
          else answers.push(sup[`${happening.do}Child`](id))
          await quiet()
        }
        check()
      }
      const many = sup.list().length
      const began = clock.monotonic()
      const took = sup.stop().then(() => clock.monotonic() - began)
      await clock.advance(10_000)

      expect(await took).toBeLessThanOrEqual(100 * Math.max(1, many))
      await Promise.all(answers)
      expect(all.flatMap((each) => each.alive())).toEqual([])
      expect(clock.pending()).toBe(0)
    }),
    { seed: SEED, numRuns: RUNS },
  )
})
