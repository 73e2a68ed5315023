/**
 * `tenuto doctor`: looks at this machine and at one home, and says of each thing whether it is well and what to do where it is not.
 */
import { type Finding, placeInWords } from '../audit/finding.ts'
import { auditHome, type HomeLook, lookBeside, runnerOf } from '../audit/home.ts'
import { systemClock } from '../clock.ts'
import { isTenutoError, type TenutoError } from '../errors.ts'
import { wordsOf } from '../thrown.ts'
import { apiCheck } from './api-check.ts'
import { type Check, fail, info, ok } from './check.ts'
import { homeOf } from './home.ts'
import {
  askRunner,
  backupCheck,
  besideChecks,
  diskCheck,
  fileSystemCheck,
  fileSystemOf,
  folderCheck,
  holderCheck,
  journalChecks,
  logCheck,
  ownFoldersCheck,
  placeCheck,
  runnerCheck,
  secretsCheck,
  tryLock,
  writableCheck,
} from './home-checks.ts'
import { machineChecks } from './machine-checks.ts'
import { brokenAtBlanks } from './paragraph.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { counted } from './words.ts'

/** The flags of `doctor`. */
export type DoctorFlags = Globals & Readonly<{ audit?: boolean }>

type Section = Readonly<{ title: string; checks: readonly Check[] }>

/** Answers 0 when nothing failed, 12 when the store cannot be used, else 1. */
export const doctor = async (flags: DoctorFlags): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const sections: readonly Section[] = [
    { title: 'This machine', checks: machineChecks() },
    { title: `Home ${home}`, checks: await homeChecks(home, flags.audit === true) },
  ]
  const checks = sections.flatMap((section) => section.checks)
  const failures = checks.filter(({ status }) => status === 'fail')
  const exit = Math.max(0, ...failures.map((check) => check.exit ?? 1))
  if (on.json) on.answer(JSON.stringify({ home, checks, exit }, null, 2))
  else for (const line of lines(sections, on, flags.verbose === true)) on.answer(line)
  return exit
}

/** A check that breaks is a check that failed; the others are looked at all the same. */
const guarded = async <T>(
  name: string,
  look: () => T | Promise<T>,
): Promise<Readonly<{ value: T } | { broken: Check }>> => {
  try {
    return { value: await look() }
  } catch (error) {
    const why = wordsOf(error)
    if (isTenutoError(error)) return { broken: { ...fail(name, why, error.hint), exit: exitOf(error) } }
    return { broken: fail(name, `it cannot be looked at: ${why}`, 'mend what that says, and look again') }
  }
}

const homeChecks = async (home: string, audit: boolean): Promise<readonly Check[]> => {
  const folder = await guarded('folder', () => folderCheck(home))
  if ('broken' in folder) return [folder.broken]
  if (folder.value === undefined)
    return [info('folder', 'it does not exist yet; the first `tenuto run` makes it')]
  if (folder.value.status === 'fail') return [folder.value]
  const checks: Check[] = [folder.value]
  type Looked = Check | readonly Check[]
  const add = async (name: string, look: () => Looked | Promise<Looked>): Promise<void> => {
    const looked = await guarded(name, look)
    checks.push(...('broken' in looked ? [looked.broken] : [looked.value].flat()))
  }
  const holder = tryLock(home)
  await add('place', () => placeCheck(home) ?? [])
  await add('folders', () => ownFoldersCheck(home) ?? [])
  await add('secrets', () => secretsCheck(home) ?? [])
  await add('disk', () => {
    const on = fileSystemOf(home)
    return [
      writableCheck(home) ?? diskCheck(on),
      fileSystemCheck(on, typeof holder === 'string' ? holder : null),
    ]
  })
  if (typeof holder !== 'string') {
    await add('holder', () => holderCheck(home, holder))
    await add('api', async () => (await apiCheck(home, holder)) ?? [])
  }
  await add('journal', () => journalChecks(home))
  await add('backups', () =>
    backupCheck(home, typeof holder === 'string' ? undefined : holder, systemClock.now()),
  )
  await add('logs', () => logCheck(home))
  // Without its journal nothing can be said about what belongs to a home.
  if (checks.some(({ name, status }) => name === 'journal' && status === 'fail')) return checks

  const look = await guarded('attempts', () => (audit ? auditHome(home) : lookBeside(home)))
  if ('broken' in look) return [...checks, look.broken]
  const beside = look.value.findings.filter(({ kind }) => BESIDE.has(kind))
  const live = look.value.counts.processes - beside.filter(({ place }) => place.pid !== undefined).length
  await add('runner', async () => runnerCheck(await askRunner(home), live, runnerOf(home)))
  checks.push(...besideChecks({ ...look.value, findings: beside }))
  if (audit) checks.push(auditCheck(look.value))
  return checks
}

/** Whatever keeps the store from being used ends with 12; another version of tenuto may use it. */
const exitOf = ({ code }: TenutoError): number =>
  ['STORE_CORRUPT', 'STORE_GONE', 'STORE_BROKEN', 'STORE_FULL'].includes(code) ? 12 : 1

/** What has a line of its own, with an audit and without. */
const BESIDE: ReadonlySet<Finding['kind']> = new Set([
  'attempt-beyond',
  'orphan-folder',
  'stray-process',
  'left-behind',
])

const auditCheck = ({ findings: all, counts }: HomeLook): Check => {
  const findings = all.filter(({ kind }) => !BESIDE.has(kind))
  const faults = findings.filter(({ grade }) => grade !== 'note')
  const over = `${counted(counts.steps, 'step')} of ${counted(counts.plans, 'plan')}, ${counted(counts.folders, 'attempt folder')}`
  if (faults.length === 0) return { ...ok('audit', `${over}: every invariant holds`), findings }
  return {
    ...fail('audit', `${counted(faults.length, 'finding')} in ${over}`, null),
    exit: faults.some(({ grade }) => grade === 'damage') ? 12 : 1,
    findings,
  }
}

const WIDTH_MAX = 80
/** Of each kind so many are printed; `-v` and `--json` have them all. */
const SHOWN = 10

const lines = (sections: readonly Section[], on: Screen, verbose: boolean): readonly string[] => {
  const width = Math.min(WIDTH_MAX, process.stdout.columns ?? WIDTH_MAX)
  const names = Math.max(...sections.flatMap(({ checks }) => checks.map(({ name }) => name.length)))
  const margin = names + 6
  const said = (text: string): readonly string[] =>
    brokenAtBlanks(text, width - margin).map((line) => `${' '.repeat(margin)}${line}`)
  const arrow = on.marks.succeeded === '✓' ? '→' : '->'
  const checked = (check: Check): readonly string[] => {
    const [first = '', ...rest] = said(check.what)
    const head = `  ${painted(markOf(check, on), check, on)} ${check.name.padEnd(names + 2)}${first.slice(margin)}`
    const remedy = check.remedy === null ? [] : said(`${arrow} ${check.remedy}`)
    const findings = byKind(check.findings ?? []).flatMap(([kind, group]) => [
      ...said(`${kind}:`),
      ...group
        .slice(0, verbose ? group.length : SHOWN)
        .flatMap(({ place, what }) => said(`${placeInWords(place)}: ${what}`)),
      ...(group.length > SHOWN && !verbose ? said(`… and ${group.length - SHOWN} more; -v names them`) : []),
      ...said(`${arrow} ${group[0]?.remedy ?? ''}`),
    ])
    return [head, ...rest, ...remedy.map((line) => on.paint.dim(line)), ...findings]
  }
  const all = sections.flatMap(({ checks }) => checks)
  const shown = sections.flatMap(({ title, checks }) => {
    const some = on.quiet ? checks.filter(({ status }) => status === 'warn' || status === 'fail') : checks
    return some.length === 0 ? [] : [on.paint.bold(title), ...some.flatMap(checked), '']
  })
  return [...shown, summary(all, on)]
}

const byKind = (findings: readonly Finding[]): readonly (readonly [string, readonly Finding[]])[] =>
  Object.entries(Object.groupBy(findings, ({ kind }) => kind)).map(([kind, group]) => [kind, group ?? []])

const summary = (checks: readonly Check[], on: Screen): string => {
  const [failures, warnings] = (['fail', 'warn'] as const).map(
    (status) => checks.filter((check) => check.status === status).length,
  ) as [number, number]
  if (failures + warnings === 0) return on.paint.green('Nothing is wrong.')
  const parts = [
    ...(failures > 0 ? [counted(failures, 'problem')] : []),
    ...(warnings > 0 ? [counted(warnings, 'warning')] : []),
  ]
  const text = `${parts.join(' and ')}.`
  return failures > 0 ? on.paint.red(text) : on.paint.yellow(text)
}

const markOf = ({ status }: Check, { marks }: Screen): string =>
  status === 'ok' ? marks.succeeded : status === 'fail' ? marks.failed : status === 'warn' ? '!' : '-'

const painted = (text: string, { status }: Check, { paint }: Screen): string => {
  if (status === 'ok') return paint.green(text)
  if (status === 'fail') return paint.red(text)
  return status === 'warn' ? paint.yellow(text) : paint.dim(text)
}
