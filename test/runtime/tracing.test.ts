/**
 * Spans: one trace of each opening of a plan, made from its steps by the SDK that is registered, and nothing without one.
 *
 * Mutations that were planted once, and each found: attempts of the opening before kept; a span begun when it is told; spans told after
 * the runtime has stopped.
 */
import { type AttributeValue, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { createRuntime, definePlan } from '../../src/index.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { SPANS_MAX, tracingOf } from '../../src/views/spans.ts'

afterEach(() => trace.disable())

const registered = (...processors: readonly SpanProcessor[]): InMemorySpanExporter => {
  const exporter = new InMemorySpanExporter()
  const spanProcessors = [...processors, new SimpleSpanProcessor(exporter)]
  expect(trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }))).toBe(true)
  return exporter
}
const failing = new Set<string>()
const work = ({ job, attempt }: { job: string; attempt: number }): null => {
  if (failing.has(`${job}#${attempt}`)) throw new Error(`${job} says no`)
  return null
}
/** A runtime in memory; `read` are the plans of which it has read the steps. */
const open = async () => {
  failing.clear()
  const made = await memoryJournal(memoryDisk('home'), { bootId: 'boot', pid: 1, build: 'test', at: 0 })
  const read: (string | undefined)[] = []
  const journal: Journal = {
    ...made,
    steps: async (query) => {
      read.push(query.plan)
      // A disk takes its time, and a runtime that stops waits for it.
      for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve))
      return made.steps(query)
    },
  }
  const runtime = await createRuntime({ handlers: { work }, ports: { journal: async () => journal } })
  onTestFinished(() => runtime.stop())
  return { ...runtime, read, steps: () => made.steps({ after: 0, limit: 1_000 }) }
}
const retry = { max: 1, delay: '1ms', jitter: 0 } as const
const PLAN = definePlan({
  name: 'pages',
  jobs: { a: { call: 'work', retry }, b: { call: 'work', needs: ['a'] } },
})
const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1_000 + nanos / 1_000_000
const told = ({ name, status, attributes }: ReadableSpan) => ({
  name,
  failed: status.code === SpanStatusCode.ERROR,
  why: status.message,
  attempt: attributes['tenuto.attempt'] as AttributeValue | undefined,
})

test('the end of a plan is one trace: its span from its opening on, and below it one of each attempt as its record has it', async () => {
  const exporter = registered()
  const runtime = await open()
  failing.add('a#1')
  const { id: plan, settled } = await runtime.submit(PLAN)
  await settled()
  const attempts = await runtime.catalog.attempts(plan, 'a')
  const shape = await runtime.catalog.plan(plan)
  await runtime.stop()

  const spans = exporter.getFinishedSpans()
  expect(spans.map(told)).toEqual([
    { name: 'job a', failed: true, why: 'a says no', attempt: 1 },
    { name: 'job a', failed: false, why: undefined, attempt: 2 },
    { name: 'job b', failed: false, why: undefined, attempt: 1 },
    { name: 'plan pages', failed: false, why: undefined, attempt: undefined },
  ])
  const root = spans.at(-1)
  expect(root?.parentSpanContext).toBeUndefined()
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1)
  for (const span of spans.slice(0, -1))
    expect(span.parentSpanContext?.spanId).toBe(root?.spanContext().spanId)
  expect(spans.slice(0, 2).map(({ startTime, endTime }) => [ms(startTime), ms(endTime)])).toEqual(
    attempts
      .toSorted((one, other) => one.n - other.n)
      .map(({ started_at, ended_at }) => [Date.parse(started_at ?? ''), Date.parse(ended_at ?? '')]),
  )
  expect(root && ms(root.startTime)).toBe(Date.parse(shape.started_at ?? ''))
  expect(root?.attributes).toMatchObject({ 'tenuto.plan.id': plan, 'tenuto.state': 'succeeded' })
})

test('a plan that is opened again has a trace of its own, with the attempts of that opening alone', async () => {
  const exporter = registered()
  const runtime = await open()
  failing.add('b#1')
  const handle = await runtime.submit(PLAN)
  expect((await handle.settled()).state).toBe('failed')
  await runtime.command(handle.id, null, { do: 'retry' })
  expect((await handle.settled()).state).toBe('succeeded')
  const steps = await runtime.steps()
  await runtime.stop()

  const spans = exporter.getFinishedSpans().map(told)
  expect(spans.map(({ name, failed }) => [name, failed])).toEqual([
    ['job a', false],
    ['job b', true],
    ['plan pages', true],
    ['job b', false],
    ['plan pages', false],
  ])
  // Another process, which has only the journal, makes the same of it.
  const take = tracingOf('pages')
  const traces = steps.flatMap((step) => take(step) ?? [])
  expect(traces.flatMap(({ plan, attempts }) => [...attempts, plan].map(({ name }) => name))).toEqual(
    spans.map(({ name }) => name),
  )
})

test('without an SDK the journal is not read, and one that throws hurts nobody', async () => {
  const alone = await open()
  const first = await alone.submit(PLAN)
  await first.settled()
  await alone.stop()
  expect(alone.read).not.toContain(first.id)

  const broken: SpanProcessor = {
    onStart: () => {
      throw new Error('no room')
    },
    onEnd: () => {},
    forceFlush: async () => {},
    shutdown: async () => {},
  }
  const exporter = registered(broken)
  const runtime = await open()
  const second = await runtime.submit(PLAN)
  expect((await second.settled()).state).toBe('succeeded')
  await runtime.stop()
  expect(exporter.getFinishedSpans()).toEqual([])
})

test('a trace has a bound, and says how many attempts it leaves out', () => {
  const take = tracingOf('many')
  const step = { seq: 1, reason: null, attempt: 1, at: 5, version: '1' }
  const ended = { attempt: 1, outcome: 'succeeded', code: 0, signal: null, startedAt: 1, endedAt: 2 }
  take({ ...step, position: 1, address: 'plan:p', type: 'created', event: '{}', from: null, to: 'running' })
  for (let at = 0; at < SPANS_MAX + 3; at += 1)
    take({
      ...step,
      position: 2 + at,
      address: `job:p/j${at}`,
      type: 'attempt.ended',
      event: JSON.stringify(ended),
      from: 'running',
      to: 'succeeded',
    })
  const made = take({
    ...step,
    position: 99_999,
    address: 'plan:p',
    type: 'job.settled',
    event: '{}',
    from: 'running',
    to: 'succeeded',
  })
  expect(made?.attempts).toHaveLength(SPANS_MAX)
  expect(made?.plan.attributes['tenuto.attempts_left_out']).toBe(3)
})
