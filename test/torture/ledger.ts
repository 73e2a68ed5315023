/**
 * The ledger against the journal. The jobs wrote the one, the program the other; where they differ something was lost, or done twice.
 */
import { DatabaseSync } from 'node:sqlite'
import { FAILS_WITH } from './shapes.ts'

/** An attempt as the journal has it; `outcome` is null where it has no end. */
export type Attempt = Readonly<{
  plan: string
  job: string
  n: number
  generation: number
  outcome: string | null
  code: number | null
}>

/** Every attempt of a journal that nobody holds, in the order of their beginning. */
export const attemptsIn = (journal: string): readonly Attempt[] => {
  const file = new DatabaseSync(journal, { readOnly: true })
  try {
    const rows = file
      .prepare(
        "SELECT address, type, event, went_to, attempt FROM step WHERE address LIKE 'job:%' ORDER BY position",
      )
      .all() as { address: string; type: string; event: string; went_to: string; attempt: number | null }[]
    const attempts = new Map<string, Attempt>()
    for (const { address, type, event, went_to: to, attempt } of rows) {
      const place = address.slice('job:'.length)
      const [plan, job] = [place.slice(0, place.indexOf('/')), place.slice(place.indexOf('/') + 1)]
      if (to === 'running' && attempt !== null && !attempts.has(`${place}/${attempt}`)) {
        attempts.set(`${place}/${attempt}`, {
          plan,
          job,
          n: attempt,
          generation: 0,
          outcome: null,
          code: null,
        })
      }
      if (type !== 'attempt.ended') continue
      const {
        attempt: n,
        generation,
        outcome,
        code,
      } = JSON.parse(event) as {
        attempt: number
        generation: number
        outcome: string
        code: number | null
      }
      attempts.set(`${place}/${n}`, { plan, job, n, generation, outcome, code })
    }
    return [...attempts.values()]
  } finally {
    file.close()
  }
}

/** What is wrong between what the jobs wrote (`KEY start`, `KEY end`) and what the journal says; nothing when all is well. */
export const judgeLedger = (lines: readonly string[], attempts: readonly Attempt[]): readonly string[] => {
  const wrong: string[] = []
  const wrote = new Map<string, { start: number; end: number }>()
  for (const line of lines) {
    const found = /^[^/ ]+\/(\S+) (start|end)$/.exec(line)
    if (found === null) {
      wrong.push(`the ledger has a line "${line}"`)
      continue
    }
    const [, key = '', what] = found
    const of = wrote.get(key) ?? { start: 0, end: 0 }
    wrote.set(key, of)
    if (of.end > 0 || (what === 'end' && of.start === 0))
      wrong.push(`${key} wrote its ${what} after its end, or before its start`)
    of[what as 'start' | 'end'] += 1
  }
  const known = new Map(attempts.map((attempt) => [`${attempt.plan}/${attempt.job}/${attempt.n}`, attempt]))
  for (const [key, { start, end }] of wrote) {
    if (start > 1) wrong.push(`${key} started ${start} times`)
    if (end > 1) wrong.push(`${key} ended ${end} times`)
    if (!known.has(key)) wrong.push(`${key} wrote to the ledger, and the journal does not know it`)
  }
  for (const [key, { outcome, code }] of known) {
    const { start, end } = wrote.get(key) ?? { start: 0, end: 0 }
    const isWhole = outcome === 'succeeded' || (outcome === 'exit' && code === FAILS_WITH)
    if (outcome === null) wrong.push(`${key} has no end in the journal`)
    if (isWhole && (start !== 1 || end !== 1))
      wrong.push(`${key} is ${outcome}, and the ledger has ${start} starts and ${end} ends of it`)
    if (outcome === 'never-started' && start > 0)
      wrong.push(`${key} is never-started, and the ledger has a start`)
  }
  return [...wrong, ...ranOn(attempts)]
}

/** A job that has succeeded runs again only in a new generation. */
const ranOn = (attempts: readonly Attempt[]): readonly string[] => {
  const done = new Map<string, number>()
  return attempts
    .toSorted((a, b) => a.n - b.n)
    .flatMap(({ plan, job, n, generation, outcome }) => {
      const life = `${plan}/${job} in generation ${generation}`
      const before = done.get(life)
      if (outcome === 'succeeded') done.set(life, n)
      return before === undefined ? [] : [`${life} had succeeded in attempt ${before}, and ran again in ${n}`]
    })
}
