/**
 * Spans for OpenTelemetry: when a plan ends, its span and those of its attempts are made from its steps, for whatever SDK the program
 * has registered. Without one nothing is done, and what an SDK throws hurts nobody.
 */
import { context, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { Projector } from '../actors/projector.ts'
import { parseAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { JournalReader, StepRow } from '../journal/journal.ts'
import type { Log } from '../log.ts'
import { isPlanEnd } from '../states.ts'
import { wordsOf } from '../thrown.ts'
import { type SpanShape, type Trace, tracingOf } from '../views/spans.ts'

/** Who makes the spans. */
export type Spans = Readonly<{
  /** Listens again after the projector was replaced. */
  again: () => void
  /** Resolves when the plans that have ended are told. Idempotent. */
  stop: () => Promise<void>
}>

/** Steps read, and at most as many spans made, before others have their turn. */
const PAGE = 500

/** Makes spans of the plans whose end is shown from now on. */
export const tracing = (
  ports: Readonly<{
    journal: Pick<JournalReader, 'steps' | 'plan'>
    shown: Pick<Projector, 'listen'>
    clock: Pick<Clock, 'soon'>
    log: Pick<Log, 'warn'>
  }>,
): Spans => {
  const { journal, shown, clock, log } = ports
  const turn = (): Promise<void> => new Promise((resolve) => clock.soon(resolve))
  let telling: Promise<void> = Promise.resolve()

  const tell = async ({ address, position }: StepRow, tracer: Tracer): Promise<void> => {
    const { plan } = parseAddress(address)
    const take = tracingOf((await journal.plan(plan))?.name ?? plan)
    for (let after = 0; after < position; ) {
      const page = await journal.steps({ plan, after, limit: PAGE })
      for (const step of page) {
        const made = take(step)
        if (made && step.position === position) await record(made, tracer, turn)
      }
      after = page.at(-1)?.position ?? position
      await turn()
    }
  }
  const hear = (steps: readonly StepRow[]): void => {
    const ended = steps.filter(isEnd)
    const tracer = ended.length === 0 ? undefined : registeredTracer()
    if (!tracer) return
    for (const step of ended)
      telling = telling
        .then(() => tell(step, tracer))
        .catch((error: unknown) =>
          log.warn({ error: wordsOf(error), plan: step.address }, 'a plan has no spans'),
        )
  }
  let unlisten = shown.listen(hear)
  return {
    again: () => {
      unlisten()
      unlisten = shown.listen(hear)
    },
    stop: () => {
      unlisten()
      return telling
    },
  }
}

const isEnd = ({ address, from, to }: StepRow): boolean =>
  address.startsWith('plan:') && isPlanEnd(to) && (from === null || !isPlanEnd(from))

/** Undefined where no SDK is registered: the API would take spans and do nothing with them. */
const registeredTracer = (): Tracer | undefined => {
  const provider = trace.getTracerProvider()
  // An SDK may bring an API of its own, so this is no question of classes.
  return 'getDelegateTracer' in provider && typeof provider.getDelegateTracer === 'function'
    ? (provider.getDelegateTracer('tenuto') as Tracer | undefined)
    : provider.getTracer('tenuto')
}

const record = async (
  { plan, attempts }: Trace,
  tracer: Tracer,
  turn: () => Promise<void>,
): Promise<void> => {
  // Whoever runs this program may be in a span of another thing.
  const root = tracer.startSpan(plan.name, { ...optionsOf(plan), root: true })
  const within = trace.setSpan(context.active(), root)
  for (const [at, attempt] of attempts.entries()) {
    const span = tracer.startSpan(attempt.name, optionsOf(attempt), within)
    if (attempt.error !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: attempt.error })
    span.end(attempt.endedAt)
    if (at % PAGE === PAGE - 1) await turn()
  }
  if (plan.error !== null) root.setStatus({ code: SpanStatusCode.ERROR, message: plan.error })
  root.end(plan.endedAt)
}

const optionsOf = ({ startedAt, attributes }: SpanShape) => ({ startTime: startedAt, attributes })
