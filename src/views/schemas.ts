/**
 * The shapes of the outside contract as schemas: their types, what the document of the API says of them, and what tests hold answers to.
 */

import { OUTCOMES } from '../attempt.ts'
import { EVENT_TYPES } from '../event-types.ts'
import { figures, numbers } from '../guest.ts'
import {
  about,
  both,
  flag,
  json,
  jsonObject,
  list,
  moment,
  named,
  number,
  type Of,
  object,
  oneOf,
  orNull,
  record,
  reference,
  type Schema,
  text,
  whole,
  word,
} from '../json-schema.ts'
import { JOB_STATES, PLAN_STATES, REASONS } from '../states.ts'

const count = whole({ minimum: 0 })
const words = orNull(text())
const when = orNull(moment)

/** Why a plan or a job is not simply running or succeeded. */
export const reason = named(
  'Reason',
  about('Why a plan or a job is not simply running or succeeded.', word(REASONS)),
)

/** `BuildShape`. */
export const build = named(
  'Build',
  object({
    kind: about('`development` where the source runs directly.', oneOf(['built', 'development'])),
    version: text(),
    commit: words,
    dirty: orNull(flag),
    source_hash: text(),
    built_at: words,
    node: text(),
    stale: flag,
    stale_reason: about('Why, in words; null when it is not stale.', words),
  }),
)

/** `SecretShape`. */
export const secret = named(
  'Secret',
  object({
    name: text(),
    place: about('Where the plan names it first: `secrets`, or `jobs.NAME.secrets`.', text()),
    kept: about('Whether the home has its value.', flag),
  }),
)

/** `Counts`. */
export const counts = record(count)

/** `PlanShape`. */
export const plan = named(
  'Plan',
  object({
    id: about('`<name>-<6 lower-case base32>`.', text()),
    name: text(),
    state: word(PLAN_STATES),
    reason: orNull(reason),
    generation: about('From 1; a retry of something ended opens the next.', count),
    created_at: moment,
    started_at: when,
    ended_at: when,
    counts: about('How many jobs are in each state; states nobody is in are left out.', counts),
    key: about('The idempotency key it was submitted with.', words),
    error: about('Why it is quarantined, where its rows cannot be loaded; null otherwise.', words),
  }),
)

/** `JobShape`. */
export const job = named(
  'Job',
  object(
    {
      plan: text(),
      name: text(),
      kind: text(),
      state: word(JOB_STATES),
      reason: orNull(reason),
      generation: count,
      attempt: about('The last one; 0 before the first.', count),
      needs: about('What is asked of each need: `success`, `any` or `skipped-ok`.', record(text())),
      since: moment,
      wake_at: about('When a backoff ends, or the wait for an answer; null otherwise.', when),
      optional: flag,
      outputs: about('What it wrote; null when nothing.', json),
    },
    { prompt: about('What a person is asked; only of `approve` jobs.', text()) },
  ),
)

/** `AttemptShape`. */
export const attempt = named(
  'Attempt',
  object(
    {
      n: count,
      generation: count,
      outcome: about('How it ended; null while it runs.', orNull(word(OUTCOMES))),
      code: orNull(whole()),
      signal: words,
      started_at: when,
      ended_at: when,
      pid: orNull(count),
      error: words,
      warnings: list(text()),
      leftovers: about('Processes it left behind, which were ended with it.', count),
    },
    { error_code: about('Of an error of this API that kept it from starting, as `SECRETS_GONE`.', text()) },
  ),
)

/** A plan with its jobs, where they were asked for. */
export const planWithJobs = named('PlanWithJobs', {
  ...both(plan, object({}, { jobs: list(job) })),
} as Schema<Of<typeof plan> & Readonly<{ jobs?: readonly Of<typeof job>[] }>>)

/** A job with its attempts. */
export const jobWithAttempts = named('JobWithAttempts', both(job, object({ attempts: list(attempt) })))

/** `EventShape`. */
export const event = named(
  'Event',
  object(
    {
      position: count,
      at: moment,
      plan: about('Empty for what is of the home itself, and of no plan.', text()),
      address: text(),
      seq: count,
      type: named('EventType', word(EVENT_TYPES)),
      from: words,
      to: text(),
    },
    {
      job: text(),
      attempt: count,
      reason,
      by: about('Who ordered it, where a person did.', text()),
      why: about('Why, where a person said so.', text()),
      detail: about(
        'What a note says besides: events at `note:` addresses are no steps of their plan or job, but what the runtime notes of it. Of `recovered` and an attempt, `found` is what became of it; of `sweep.repaired`, `kind` is what was repaired.',
        jsonObject,
      ),
      took_ms: about('Of `attempt.ended`, how long the attempt took, where that is known.', count),
      ended: about(
        'Jobs that this step of their plan ended without their ever having begun.',
        list(object({ job: text(), state: word(JOB_STATES), reason: orNull(reason) })),
      ),
    },
  ),
)

/** `SweepShape`. */
export const sweep = named(
  'Sweep',
  object({
    plans: about('How many it looked at.', count),
    repaired: list(object({ kind: text(), plan: text(), job: words, age_ms: number })),
  }),
)

/** `GcShape`. */
export const gc = named(
  'Gc',
  object({
    dry_run: flag,
    plans: about(
      'Plans with all that is theirs, oldest first.',
      list(object({ id: text(), ended_at: moment, attempts: count, bytes: count })),
    ),
    cleared: about(
      'Plans of which only the attempt folders go.',
      list(object({ id: text(), attempts: count, bytes: count })),
    ),
    orphans: about(
      'Folders of attempts of which the journal knows no plan.',
      list(object({ name: text(), attempts: count, bytes: count })),
    ),
    replaced: about(
      'Journals that a restore has put aside, oldest first.',
      list(object({ path: text(), replaced_at: moment, bytes: count })),
    ),
    dead_letters: count,
    attempts: about('Attempt folders of all of these.', count),
    bytes: about('The bytes of everything on disk.', count),
    journal: about(
      'The file of the journal, and how much of it waits to be used again.',
      object({ bytes: count, free_bytes: count }),
    ),
  }),
)

/** A section without what it holds. */
export const sectionHead = object({
  status: about('`stale`: it is there, and behind.', oneOf(['ok', 'stale', 'unavailable', 'disabled'])),
  as_of: about('When it was last heard of; null when it never was.', when),
  age_ms: about('How long ago that is.', orNull(number)),
  error: orNull(object({ code: text(), message: text(), hint: text() })),
})

/** A section with what it holds. */
export const section = <Data>(data: Schema<Data>) => both(sectionHead, object({ data }))

/** What is known of storage. */
export const storageData = object({
  since: about('When the first commit of this outage failed; null where there is none.', when),
  tries: about('How often a commit was tried since.', count),
  next_try_at: when,
  failed_commits: about('Of all commits since the holder began.', count),
})

/** `DeadLetterShape`. */
export const deadLetter = named(
  'DeadLetter',
  object({
    id: count,
    at: moment,
    plan: text(),
    job: words,
    address: text(),
    type: text(),
    why: about('The first line of why.', text()),
  }),
)

/** `WholeLetterShape`. */
export const wholeLetter = named(
  'WholeDeadLetter',
  both(
    deadLetter,
    object({
      event: about('What it says.', jsonObject),
      error: about('All that is known of why it could not be delivered.', text()),
    }),
  ),
)

/** `AnalyticsData`. */
export const analyticsData = named(
  'AnalyticsData',
  object({
    state: about(
      '`starting`, `up`, `catching-up`, `silent` while it does not answer, `waiting` to be started again, `given-up` for a while, `trying` after that, `off`.',
      text(),
    ),
    pid: orNull(count),
    cursor: about('It has counted up to this position; null when it has not said so yet.', orNull(count)),
    head: about('The last position of the journal, as far as analytics has asked for it.', orNull(count)),
    behind: orNull(whole()),
    missed_steps: about('Steps that were gone before they were counted.', orNull(count)),
    restarts: count,
    failures: about('Failures that count towards giving it up.', count),
    silent_since: about('When it was asked what it has not answered yet, while it is silent.', when),
    failed_at: when,
    next_try_at: when,
    total: orNull(figures),
  }),
)

/** `AnalyticsShape`. */
export const analytics = named(
  'Analytics',
  both(section(orNull(analyticsData)), object({ numbers: orNull(numbers) })),
)

/** A node of the tree without its children. */
const treeNode = object({
  id: text(),
  kind: oneOf(['supervisor', 'worker', 'actor']),
  strategy: about('Of a supervisor.', words),
  state: text(),
  restarts: about(
    'Restarts within the period, against how many are allowed; null for the root, and for an actor that has never failed.',
    orNull(object({ count, intensity: count, period_ms: number })),
  ),
  last_error: words,
  since_ms: about(
    'How long ago it came into its state, in milliseconds; null where nobody keeps it.',
    orNull(number),
  ),
  mailbox: about('What waits for an actor.', orNull(object({ depth: count, oldest_ms: orNull(number) }))),
  history: about(
    'Why it ended before, the newest last, at most 20.',
    list(object({ ago_ms: number, reason: text() })),
  ),
  more: about('Children that are not shown.', count),
})

/** What a node of the tree is to TypeScript, which knows no schema of itself. */
export type TreeNode = Of<typeof treeNode> & Readonly<{ children: readonly TreeNode[] }>

/** `TreeShape`. */
export const tree: Schema<TreeNode> = named(
  'Tree',
  both(treeNode, object({ children: list(reference<TreeNode>('Tree')) })),
)

/** `InspectionShape`. */
export const inspection = named(
  'Inspection',
  object({
    ref: text(),
    kind: oneOf(['plan', 'job']),
    address: text(),
    state: word([...new Set([...PLAN_STATES, ...JOB_STATES])]),
    reason: orNull(reason),
    generation: count,
    machine: about('The machine, and its version, that wrote its row; null before it has one.', words),
    seq: about('Its last step; 0 before the first.', count),
    context: about('What it remembers, without the secrets of its plan.', orNull(jsonObject)),
    timers: about('Of a job; what is to wake it, and when.', list(object({ name: text(), due: moment }))),
    mailbox: about(
      'Messages that wait for it, the first 20.',
      object({
        items: list(
          object({
            id: count,
            type: text(),
            since: moment,
            deliveries: about('How often it made its actor fail.', count),
          }),
        ),
        more: flag,
      }),
    ),
    steps: about('Its last 20, the newest first.', list(event)),
    attempt: about('The last attempt of a job.', orNull(attempt)),
    board: about(
      'The row of a job on the board of its plan.',
      orNull(
        object({
          index: about('Its place in the definition, from 0.', count),
          place: oneOf(['held', 'released', 'settled']),
          state: word(JOB_STATES),
          reason: orNull(reason),
          unmet: about('Needs that are not met.', count),
          attempt: count,
          since: moment,
          actor: about('Whether it has an actor of its own, or is a row.', flag),
        }),
      ),
    ),
    path: about('Where it stands in the supervision tree, from its root.', list(text())),
    live: about('As the tree shows it; null while it is not in memory, or among too many.', orNull(treeNode)),
    wrong: about('What of it could not be read.', list(text())),
  }),
)

/** What a ref names: a plan, a job of it, or an attempt of that. */
export const target = named('Target', object({ plan: text(), job: words, attempt: orNull(count) }))

/** `FactShape`. */
export const fact = named(
  'Fact',
  object({
    what: text(),
    ref: about('The plan or job it is about; null where it is about the home or the machine.', words),
    since: when,
    until: about('When it changes by itself; null when no moment is known.', when),
    change: about('What would change it; null when nothing needs to.', words),
    command: about('The command that does, without `--home`; null when there is none.', words),
  }),
)

/** `ExplainShape`. */
export const explanation = named(
  'Explanation',
  object({
    ref: text(),
    kind: oneOf(['plan', 'job']),
    state: word([...new Set([...PLAN_STATES, ...JOB_STATES])]),
    reason: orNull(reason),
    since: when,
    chain: about('The nearest first.', list(fact)),
    more: about('How many jobs the chain leaves out; `GET …/jobs` has them all.', count),
  }),
)
