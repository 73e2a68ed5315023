/**
 * Where an actor is reached: `plan:ID` or `job:ID/NAME`. An address is stable for ever; it names no process. `note:ID` and
 * `note:ID/NAME` are where the journal keeps what the runtime itself has to say about a plan or a job; nobody is reached there.
 * `note:home` is where it keeps what was asked of the home itself; no plan has an id without a suffix, so that none is called so.
 */

/** `plan:ID` or `job:ID/NAME`; or `note:ID` or `note:ID/NAME`. */
export type Address = `plan:${string}` | `job:${string}/${string}` | `note:${string}`

/** The address of a plan. */
export const planAddress = (plan: string): Address => `plan:${plan}`

/** The address of a job of a plan. */
export const jobAddress = (plan: string, job: string): Address => `job:${plan}/${job}`

/** Where notes about a plan, or about a job of it, are kept. */
export const noteAddress = (plan: string, job: string | null): Address =>
  job === null ? `note:${plan}` : `note:${plan}/${job}`

/** The place of a plan in the notes of what was asked of no plan, but of the home. */
export const HOME = 'home'

/** What an address names: a plan, a job of it, or the notes about one of them. */
export type Place = Readonly<
  | { kind: 'plan'; plan: string }
  | { kind: 'job'; plan: string; job: string }
  | { kind: 'note'; plan: string; job: string | null }
>

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
  if (address.startsWith('note:') && address.length > 5) {
    return slash < 0
      ? { kind: 'note', plan: address.slice(5), job: null }
      : { kind: 'note', plan: address.slice(5, slash), job: address.slice(slash + 1) }
  }
  throw new RangeError(`"${address}" is no address; an address is plan:ID or job:ID/NAME`)
}
