/**
 * Where an actor is reached: `plan:ID` or `job:ID/NAME`. An address is stable for ever; it names no process.
 */

/** `plan:ID` or `job:ID/NAME`. */
export type Address = `plan:${string}` | `job:${string}/${string}`

/** The address of a plan. */
export const planAddress = (plan: string): Address => `plan:${plan}`

/** The address of a job of a plan. */
export const jobAddress = (plan: string, job: string): Address => `job:${plan}/${job}`

/** What an address names: a plan, or a job of it. */
export type Place = Readonly<{ kind: 'plan'; plan: string } | { kind: 'job'; plan: string; job: string }>

/**
 * Takes an address apart.
 * @throws {RangeError} when the text is no address.
 */
export const parseAddress = (address: string): Place => {
  if (address.startsWith('plan:') && address.length > 5) return { kind: 'plan', plan: address.slice(5) }
  const slash = address.indexOf('/')
  if (address.startsWith('job:') && slash > 4 && slash < address.length - 1) {
    return { kind: 'job', plan: address.slice(4, slash), job: address.slice(slash + 1) }
  }
  throw new RangeError(`"${address}" is no address; an address is plan:ID or job:ID/NAME`)
}
