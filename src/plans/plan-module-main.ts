/**
 * The process of a plan module: imports it, takes its default export, writes one answer to descriptor 3 and ends, whatever the module
 * left running.
 */
import { createWriteStream } from 'node:fs'
import { registerHooks } from 'node:module'
import { extname } from 'node:path'
import { argv, exit } from 'node:process'
import { fileURLToPath } from 'node:url'
import { definePlan, type PlanSource, UNNAMED } from './define-plan.ts'
import type { PlanError } from './problem.ts'

/** What the process of a plan module answers. */
export type ModuleAnswer =
  | Readonly<{ definition: unknown; unnamed: boolean }>
  | Readonly<{ errors: readonly PlanError[]; total: number }>

const url = argv[2] ?? ''

// A plan file may import 'tenuto' wherever it lies: where none is installed, it gets the one that reads it.
registerHooks({
  resolve: (specifier, context, next) => {
    try {
      return next(specifier, context)
    } catch (error) {
      if (specifier !== 'tenuto') throw error
      return next(new URL(`../index${extname(import.meta.url)}`, import.meta.url).href, context)
    }
  },
})

/** Where in the module something went wrong, by its stack. */
const placeOf = (error: unknown): { line: number | null; column: number | null } => {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  for (const name of [url, fileURLToPath(url)]) {
    const at = stack.indexOf(`${name}:`)
    const [, line, column] = /^:(\d+)(?::(\d+))?/.exec(at === -1 ? '' : stack.slice(at + name.length)) ?? []
    if (line !== undefined) return { line: Number(line), column: Number(column ?? 1) }
  }
  return { line: null, column: null }
}

const answerOf = (plan: unknown): ModuleAnswer => {
  if (typeof plan === 'object' && plan !== null) {
    const definition = 'version' in plan ? plan : definePlan(plan as PlanSource)
    return { definition, unnamed: UNNAMED in definition }
  }
  const error: PlanError = {
    file: null,
    line: null,
    column: null,
    path: '',
    message: 'the plan module has no plan as its default export',
    hint: 'write `export default definePlan({ … })`',
  }
  return { errors: [error], total: 1 }
}

const failureOf = (error: unknown): ModuleAnswer => {
  const place = placeOf(error)
  // By its shape, since the module may bring a tenuto of its own.
  const { code, fields } = Object(error) as {
    code?: unknown
    fields?: { count: number; errors: readonly PlanError[] }
  }
  if (code === 'PLAN_INVALID' && fields !== undefined) {
    return { errors: fields.errors.map((one) => ({ ...one, ...place })), total: fields.count }
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const hint = 'run the file with node to see more'
  return {
    errors: [{ file: null, ...place, path: '', message: `the plan module fails: ${message}`, hint }],
    total: 1,
  }
}

const load = async (): Promise<ModuleAnswer> => {
  try {
    const module = (await import(url)) as Readonly<Record<string, unknown>>
    return answerOf(await module['default'])
  } catch (error) {
    return failureOf(error)
  }
}

const toText = (answer: ModuleAnswer): string => {
  try {
    return JSON.stringify(answer)
  } catch (error) {
    return JSON.stringify(failureOf(error))
  }
}

const text = toText(await load())
createWriteStream('', { fd: 3 }).end(text, () => exit(0))
