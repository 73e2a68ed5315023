/**
 * The commands about plan files and machines, which touch no home: `validate`, `graph FILE`, `schema`, `machines`, `version`; and
 * `graph REF`, which reads one.
 */
import { existsSync } from 'node:fs'
import { shortHash } from '../artefact.ts'
import { TenutoError } from '../errors.ts'
import { SCHEMA } from '../http/wire.ts'
import { PROTOCOL_VERSION } from '../protocol.ts'
import { runningBuild } from '../running-build.ts'
import type { JobState } from '../states.ts'
import { buildShape } from '../views/shapes.ts'
import { homeOf, machineDiagrams, readIn } from './home.ts'
import { type Globals, type Screen, screen } from './screen.ts'

/** `tenuto validate FILE…`: every file is looked at; the first bad one decides the exit code. */
export const validate = async (
  files: readonly string[],
  flags: Globals,
  complain: (error: unknown) => number,
): Promise<number> => {
  const on = screen(flags)
  const { readPlanFile } = await import('../plans/plan-file.ts')
  const { formatPlanError } = await import('../plans/problem.ts')
  let exit = 0
  const good: object[] = []
  for (const file of files) {
    try {
      const { definition, warnings } = await readPlanFile(file)
      for (const warning of warnings) on.talk(`warning: ${formatPlanError(warning)}`)
      const jobs = Object.keys(definition.jobs).length
      good.push({ file, name: definition.name, jobs, valid: true })
      if (!on.json) on.tell(`${file}: plan ${definition.name}, ${jobs} job${jobs === 1 ? '' : 's'}, valid`)
    } catch (error) {
      const code = complain(error)
      exit ||= code
    }
  }
  if (on.json) on.answer(JSON.stringify(good))
  return exit
}

/** `tenuto graph FILE|REF`. */
export const graph = async (of: string, flags: Globals & Readonly<{ format?: string }>): Promise<number> => {
  const on = screen(flags)
  const { GRAPH_FORMATS, renderGraph } = await import('../plans/graph.ts')
  refuseText(flags, on)
  const format = GRAPH_FORMATS.find((known) => known === (flags.format ?? (on.json ? 'json' : 'tree')))
  if (!format)
    throw new TenutoError('USAGE', {
      what: `--format ${flags.format}: it is one of ${GRAPH_FORMATS.join(', ')}`,
    })
  const width = process.stdout.columns ?? 80
  if (existsSync(of) || /\.(ya?ml|json|[mc]?[tj]s)$/.test(of)) {
    const { readPlanFile } = await import('../plans/plan-file.ts')
    const { definition } = await readPlanFile(of)
    on.bytes(Buffer.from(renderGraph(definition, format, { width })))
    return 0
  }
  return readIn(homeOf(flags), async (catalog) => {
    const { plan } = await catalog.resolve(of)
    const jobs = await catalog.jobs(plan)
    const states = new Map(
      jobs.map(({ name, state, reason }) => [name, { state: state as JobState, reason }]),
    )
    on.bytes(Buffer.from(renderGraph(await catalog.definition(plan), format, { states, width })))
    return 0
  })
}

/** JSON was asked for, and something else at once. */
const refuseText = ({ format }: Readonly<{ format?: string }>, on: Pick<Screen, 'json'>): void => {
  if (on.json && format !== undefined && format !== 'json')
    throw new TenutoError('USAGE', { what: `--json and --format ${format} exclude each other` })
}

/** `tenuto schema plan`. */
export const schema = async (what: string, flags: Globals): Promise<number> => {
  if (what !== 'plan') throw new TenutoError('USAGE', { what: `there is a schema of plan, not of ${what}` })
  const { planSchema } = await import('../plans/schema.ts')
  screen(flags).answer(JSON.stringify(planSchema(), null, 2))
  return 0
}

/** `tenuto machines [NAME] [--format mermaid|json]`. */
export const machines = async (
  name: string | undefined,
  flags: Globals & Readonly<{ format?: string }>,
): Promise<number> => {
  const on = screen(flags)
  const diagrams = await machineDiagrams()
  refuseText(flags, on)
  const format = flags.format ?? (on.json ? 'json' : 'mermaid')
  if (format !== 'mermaid' && format !== 'json') {
    throw new TenutoError('USAGE', { what: `--format ${format}: it is mermaid or json` })
  }
  const chosen = diagrams.filter((diagram) => name === undefined || diagram.name === name)
  if (chosen.length === 0) {
    const names = diagrams.map((diagram) => diagram.name).join(', ')
    throw new TenutoError('USAGE', { what: `there is no machine ${name}; there are: ${names}` })
  }
  if (format === 'json')
    on.answer(
      JSON.stringify(name === undefined ? chosen.map((each) => each.json()) : chosen[0]?.json(), null, 2),
    )
  else for (const diagram of chosen) on.answer(diagram.mermaid())
  return 0
}

/** `tenuto version`: says all that other programs compare, and whether the build is stale. */
export const version = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const { build, comparison } = runningBuild()
  const { stale } = comparison()
  if (on.json) {
    const protocols = { schema: SCHEMA, protocol: PROTOCOL_VERSION }
    on.answer(JSON.stringify({ ...buildShape(build, stale), ...protocols }))
    return 0
  }
  const from =
    build.commit === null ? '' : `  commit ${build.commit.slice(0, 12)}${build.dirty ? '+changes' : ''}`
  on.tell(`tenuto ${build.version}${from}`)
  const made = build.builtAt === null ? 'development' : `built ${build.builtAt}`
  on.tell(`source ${shortHash(build.sourceHash)}  ${made}  node ${process.versions.node}`)
  on.tell(`speaks schema ${SCHEMA} and runner protocol ${PROTOCOL_VERSION}`)
  if (stale !== null) on.tell(`stale: ${stale}`)
  return 0
}
