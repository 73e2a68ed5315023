/**
 * A compiled plan as a plan file would say it, everything spelled out.
 */
import { isObject, type JsonRecord } from '../json.ts'
import { formatDuration } from './duration.ts'

const RENAMED: Readonly<Record<string, string>> = {
  timeoutMs: 'timeout',
  deadlineMs: 'deadline',
  stallMs: 'stall',
  graceMs: 'grace',
  delayMs: 'delay',
  maxDelayMs: 'maxDelay',
}

const respell = (map: JsonRecord, leaveOut: string): JsonRecord =>
  Object.fromEntries(
    Object.entries(map)
      .filter(([key]) => key !== leaveOut)
      .map(([key, value]) => {
        const name = Object.hasOwn(RENAMED, key) ? RENAMED[key] : undefined
        if (name !== undefined) return [name, typeof value === 'number' ? formatDuration(value) : value]
        return [key, (key === 'retry' || key === 'approve') && isObject(value) ? respell(value, '') : value]
      }),
  )

/** A question has no attempts; what its definition says of them was put there by compiling it. */
const jobSource = (job: JsonRecord): JsonRecord => {
  if (job['kind'] !== 'approve') return respell(job, 'kind')
  const { graceMs, onLost, ...rest } = job
  return respell(
    { ...rest, ...(graceMs === 0 ? {} : { graceMs }), ...(onLost === 'hold' ? {} : { onLost }) },
    'kind',
  )
}

/**
 * The plan that compiles to this definition. What is no definition stays recognisably wrong, so that compiling the answer names its
 * faults: a definition that came from elsewhere is checked this way, by the same rules as a file.
 */
export const planSource = (definition: unknown): unknown => {
  if (!isObject(definition)) return definition
  const { version, jobs, ...rest } = definition
  return {
    plan: version === 1 ? 'v1' : version,
    ...rest,
    jobs: isObject(jobs)
      ? Object.fromEntries(
          Object.entries(jobs).map(([name, job]) => [name, isObject(job) ? jobSource(job) : job]),
        )
      : jobs,
  }
}
