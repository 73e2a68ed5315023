/**
 * `GET /metrics`: the numbers of a holder as Prometheus reads them.
 */
import type { FastifyInstance } from 'fastify'
import { Counter, Gauge, type Metric, Registry } from 'prom-client'
import type { Metrics, Runtime } from '../runtime.ts'
import type { Spread, Tally } from '../views/history.ts'
import { operate } from './routing.ts'

/** Adds the route of numbers. */
export const metricsRoute = (app: FastifyInstance, runtime: Runtime): void => {
  operate(app, 'GET /metrics', async ({ reply }) => {
    const registry = registryOf(await runtime.metrics())
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}

/** The numbers in a registry. What has happened is left out while it is not known: a counter must not jump. */
export const registryOf = ({ history, state, commitSeconds, lag, fellBehind }: Metrics): Registry => {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, value: number | null | undefined): void => {
    if (typeof value === 'number') new Gauge({ name, help, registers }).set(value)
  }
  const gauges = (name: string, help: string, label: string, values: Tally): void => {
    const made = new Gauge({ name, help, registers, labelNames: [label] })
    for (const [kind, value] of Object.entries(values)) made.set({ [label]: kind }, value)
  }
  const counter = (name: string, help: string, value: number): void =>
    new Counter({ name, help, registers }).inc(value)
  const counters = (name: string, help: string, label: string, values: Tally): void => {
    const made = new Counter({ name, help, registers, labelNames: [label] })
    for (const [kind, value] of Object.entries(values)) made.inc({ [label]: kind }, value)
  }
  const histogram = (name: string, help: string, spread: Spread): void =>
    registry.registerMetric(counted(name, help, spread))
  const { build, counts, daemon, sections } = state

  const info = new Gauge({
    name: 'tenuto_build_info',
    help: 'The build of the holder; always 1.',
    registers,
    labelNames: ['version', 'source_hash', 'stale'],
  })
  info.set({ version: build.version, source_hash: build.source_hash, stale: String(build.stale) }, 1)
  gauge('tenuto_start_time_seconds', 'When the holder began.', Date.parse(daemon.started_at) / 1_000)
  gauge('tenuto_journal_position', 'The last position of the journal.', state.position)
  const up = Object.entries(sections).map(([name, { status }]) => [name, status === 'unavailable' ? 0 : 1])
  gauges(
    'tenuto_section_up',
    'Whether a section of the state is available.',
    'section',
    Object.fromEntries(up) as Tally,
  )
  if (sections.plans.data) {
    gauges('tenuto_plans', 'Plans by their state.', 'state', counts.plans)
    gauges('tenuto_jobs', 'Jobs by their state.', 'state', counts.jobs)
    gauge('tenuto_dead_letters', 'Dead letters that are kept.', counts.dead_letters)
    counter('tenuto_dead_letters_total', 'Dead letters there have ever been.', counts.dead_letters_ever)
  }
  gauge('tenuto_attempts_live', 'Attempts whose processes live.', sections.attempts.data?.live)
  gauge('tenuto_slots_held', 'Slots that are held.', sections.slots.data?.held)
  gauge('tenuto_slots_queued', 'Jobs that wait for a slot.', sections.slots.data?.queued)
  gauge(
    'tenuto_slots_limit',
    'Slots there are; left out where there is no limit.',
    sections.slots.data?.limit,
  )

  if (history !== null) {
    counters('tenuto_attempts_total', 'Ended attempts by their outcome.', 'outcome', history.attempts)
    histogram('tenuto_attempt_seconds', 'How long attempts took.', history.attemptSeconds)
    counters('tenuto_jobs_ended_total', 'Jobs by their end.', 'state', history.jobs)
    counters('tenuto_plans_ended_total', 'Plans by their end.', 'state', history.plans)
    histogram('tenuto_plan_seconds', 'How long plans took.', history.planSeconds)
    counter('tenuto_retries_total', 'Attempts after which the policy tried again.', history.retries)
    counter('tenuto_plans_taken_up_total', 'Plans taken up after an interruption.', history.takenUp)
    counters(
      'tenuto_recovered_attempts_total',
      'Attempts in flight then, by what became of them.',
      'how',
      history.recovered,
    )
    counters('tenuto_repairs_total', 'What the sweep repaired, by kind.', 'kind', history.repairs)
    counters('tenuto_dead_letters_settled_total', 'Dead letters that were settled.', 'how', history.letters)
  }

  counter('tenuto_restarts_total', 'Parts and actors that were started again.', counts.restarts)
  counter('tenuto_duplicates_total', 'Messages that said what was known.', counts.duplicates)
  histogram('tenuto_commit_seconds', 'How long commits took.', commitSeconds)
  gauge('tenuto_loop_lag_seconds', 'The worst lag of the loop in ten seconds.', daemon.loop_lag_ms / 1_000)
  counter('tenuto_loop_lag_seconds_total', 'The sum of the lags that were measured.', lag.ms / 1_000)
  counter('tenuto_loop_lags_total', 'How many were measured.', lag.count)
  counter('tenuto_followers_behind_total', 'Followers of events that fell behind.', fellBehind)
  const http = sections.http.data
  if (http) {
    gauge('tenuto_http_streams', 'Streams that are open.', http.streams)
    gauge('tenuto_http_connections', 'Connections that are open.', http.connections)
    counter('tenuto_http_streams_total', 'Streams there have been.', http.streams_ever)
    counter('tenuto_http_resets_total', 'Streams whose client had to begin anew.', http.resets)
    counter(
      'tenuto_http_dropped_total',
      'Streams that were ended since their client did not read.',
      http.dropped,
    )
  }
  return registry
}

/** A histogram that was counted elsewhere: those of the library only count what they observe themselves. */
const counted = (name: string, help: string, { bounds, upTo, count, sum }: Spread): Metric => {
  const buckets = bounds.map((le, at) => ({ labels: { le }, metricName: `${name}_bucket`, value: upTo[at] }))
  const values = [
    ...buckets,
    { labels: { le: '+Inf' }, metricName: `${name}_bucket`, value: count },
    { labels: {}, metricName: `${name}_sum`, value: sum },
    { labels: {}, metricName: `${name}_count`, value: count },
  ]
  return { name, get: async () => ({ name, help, type: 'histogram', values }) } as unknown as Metric
}
