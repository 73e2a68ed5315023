/**
 * Mistakes planted in a copy of the source, each of which the simulator must find. A copy lies in `.mutants`, so that it finds the
 * packages of this one.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const SEEDS = 200

type Edit = Readonly<{ from: string; to: string }>
/** What is planted besides, in the same file or in another. */
type More = Edit & Readonly<{ file?: string }>
type Mutation = Readonly<{ name: string; says: RegExp; file: string; more?: readonly More[] }> & Edit

const mutations: readonly Mutation[] = [
  {
    name: 'an effect before its commit',
    says: /is started before its step is committed/,
    file: 'src/actors/host.ts',
    from: 'await journal.commit(isNothing ? PROBE_BATCH : batchOf(done, stored.rows))',
    to: 'for (const asked of done.effects) perform(asked)\n        await journal.commit(isNothing ? PROBE_BATCH : batchOf(done, stored.rows))',
  },
  {
    name: 'an acknowledgement in a second transaction',
    says: /mail \d+ (?:is not there|to \S+ was taken and is still to be delivered)/,
    file: 'src/actors/transaction.ts',
    from: 'taken: open.taken, failed',
    to: 'taken: late.splice(0, late.length, ...open.taken), failed',
  },
  {
    name: 'a message dropped while draining',
    says: /does not settle|no message will tell its plan/,
    file: 'src/actors/host.ts',
    from: 'if (message.taken || message.id !== null) continue',
    to: "if (message.taken || message.id !== null || message.event.type === 'job.settled') continue",
  },
  {
    name: 'an undelivered message forgotten on reload',
    says: /does not settle|message\(s\) wait when all is over/,
    file: 'src/actors/loading.ts',
    from: 'of posted) boxes.put',
    to: 'of posted.slice(0, 0)) boxes.put',
  },
  {
    name: 'a settle applied twice',
    says: /does not settle|the plan is succeeded and j\d+ is held|all its/,
    file: 'src/machines/plan.ts',
    from: 'open: context.open - verdict.settled',
    to: 'open: context.open - 2 * verdict.settled',
  },
  {
    name: 'what a part that failed did not say, taken for a loss',
    says: /the sweep repaired (?:slot-lost|timer-lost|attempt-unasked) at .*, and nothing was lost/,
    file: 'src/actors/sweeping.ts',
    from: 'if (!isWhole(parts)) return []',
    to: '',
  },
  {
    name: 'processes looked at before the claim is taken',
    says: /ended as cancelled, never started, and was executed/,
    file: 'src/runner/attempts.ts',
    from: '    let mine: boolean\n',
    to: "    if (!starts && markedProcesses(ref.key).length === 0) return ruled(entry, order?.why ?? 'lost')\n    let mine: boolean\n",
  },
  {
    name: 'the exit record read before its writer is known to be gone',
    says: /ended as lost, and its exit record says/,
    file: 'src/runner/attempts.ts',
    from: 'if (claim !== undefined && isOtherRunner(claim)) return judgeLater(entry)',
    to: 'const early = exitOf(ref.dir)\n    while (claim !== undefined && isOtherRunner(claim)) await pause(LOOK_MS)',
    more: [
      {
        from: '    ruleFromFiles(entry, isDenied',
        to: "    if (early === undefined && mayHaveStarted(ref.dir)) return tell(entry, unstarted(ref, 'lost'))\n    ruleFromFiles(entry, isDenied",
      },
    ],
  },
  {
    // What a lease would be for: see docs/decisions/0007-no-lease-on-a-start.md.
    name: 'a slow starter not waited for',
    says: /is executed while/,
    file: 'src/runner/attempts.ts',
    from: '    await pause(FORKED_WITHIN_MS)\n',
    to: '',
  },
  {
    name: 'an end overwritten by a late report',
    says: /attempt.ended leads out of the end|was taken and is still to be delivered/,
    file: 'src/machines/job.ts',
    from: 'const ended = {\n',
    to: "const ended = {\n  'attempt.ended': judged,\n",
  },
  {
    name: 'an attempt ended by the late report of the one before',
    says: /is executed while/,
    file: 'src/machines/job.ts',
    from: "        'attempt.ended': [isStale, ...judged],\n        'attempt.stopping'",
    to: "        'attempt.ended': judged,\n        'attempt.stopping'",
  },
  {
    name: 'the note that an attempt had begun not read',
    says: /is executed 2 times|is executed while/,
    file: 'src/actors/directory.ts',
    from: '    if (attempt) of.begun.set(name, attempt)\n',
    to: '',
  },
  {
    name: 'an end recorded without a claim forgotten',
    says: /ended as (?:never-started, never started, and was executed|.*its exit record says never-started)/,
    file: 'src/runner/attempts.ts',
    from: '    const recorded = guarded(() => recordOf(ref))\n    if (recorded !== undefined) return tell(entry, recorded)\n    if (starts)',
    to: '    if (starts)',
  },
  {
    name: 'a refused command kept',
    says: /was refused and is step/,
    file: 'src/actors/host.ts',
    from: 'else offer.fail(error)',
    to: 'else {\n          offer.fail(error)\n          boxes.put(address, message)\n        }',
  },
  {
    name: 'a start in a home that holds',
    says: /starts in a home that holds/,
    file: 'src/actors/slots.ts',
    from: 'while (held < limit && mayGrant() && turns.length > 0) {',
    to: 'while (held < limit && turns.length > 0) {',
  },
  {
    name: 'a refused plan kept',
    says: /was refused and is in the journal|the host gave up/,
    file: 'src/actors/host.ts',
    from: 'for (const { refuse } of [submissions, ',
    to: 'const kept = submissions.take()\n    for (const { fail } of kept) fail(error)\n    submissions.putBack(kept)\n    for (const { refuse } of [',
  },
  {
    name: 'a plan that goes on removed as one that has ended',
    says: /is removed although it is (?:running|paused|cancelling|quarantined|undefined)/,
    file: 'src/actors/retaining.ts',
    from: '        states: ENDS,\n',
    to: '',
    more: [
      { from: 'if (isBusy(plan.id)) continue', to: '' },
      { from: 'isBusy(plan) || (await', to: '(await' },
      { file: 'src/journal/memory-pruning.ts', from: 'hasEnded(plan) && !', to: '!' },
    ],
  },
  {
    name: 'the folders of a plan moved aside before the commit that removes it',
    says: /(?:the secrets of \S+ are|the folder that \S+ (?:ran|runs) in is|\d is) gone/,
    file: 'src/actors/retaining.ts',
    from: '    const { begun, done, kept } = await',
    to: "    for (const id of some) if (!wanted.has(id)) moveAside(id, 'attempts', 'work')\n    const { begun, done, kept } = await",
  },
  {
    name: 'a removal forgotten that was begun before a crash',
    says: /is removed, and of it is left/,
    file: 'src/actors/retaining.ts',
    from: 'const known = await journal.pruning.leaving()',
    to: 'const known: string[] = []',
  },
  {
    name: 'a removal forgotten whose folders could not be moved',
    says: /is removed, and of it is left/,
    file: 'src/actors/retaining.ts',
    from: 'const known = await journal.pruning.leaving()',
    to: 'const known = [...leaving]',
  },
  {
    name: 'the key of a removed plan kept',
    says: /the host gave up|of it is left: key/,
    file: 'src/journal/memory-pruning.ts',
    from: 'if (key !== null) tables.keys.delete(key)',
    to: '',
  },
]

/** Plants a mutation in a copy of the source; each text it replaces must stand there exactly once. */
const plant = ({ name, file, from, to, more = [] }: Mutation): string => {
  const folder = join(root, '.mutants', name.replaceAll(' ', '-'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(root, 'test/sim'), join(folder, 'test/sim'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const edits: readonly More[] = [{ from, to }, ...more]
  for (const edit of edits) {
    const path = join(folder, edit.file ?? file)
    const text = readFileSync(path, 'utf8')
    expect(text.split(edit.from).length, `${path} has changed; this mutation is out of date`).toBe(2)
    writeFileSync(
      path,
      text.replace(edit.from, () => edit.to),
    )
  }
  if (file.endsWith('transaction.ts')) appendFileSync(join(folder, file), '\nconst late: number[] = []\n')
  return folder
}

test.each(mutations)(`${SEEDS} seeds find $name`, async (mutation) => {
  const folder = plant(mutation)
  const child = spawn(
    process.execPath,
    [join(folder, 'test/sim/main.ts'), '--seeds', String(SEEDS), '--new', '--whole'],
    {
      cwd: folder,
    },
  )
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const [code] = (await once(child, 'close')) as [number]

  expect(said).toMatch(/seed \d+ is wrong/)
  expect(said.match(/WRONG: .*/)?.[0]).toMatch(mutation.says)
  expect(code).toBe(1)
  rmSync(folder, { recursive: true, force: true })
})
