/**
 * The process of a plan module: imports it, takes its default export, writes one answer to descriptor 3 and ends, whatever the module
 * left running.
 */
import { createWriteStream } from 'node:fs'
import { registerHooks } from 'node:module'
import { extname } from 'node:path'
import { argv, exit } from 'node:process'
import { fileURLToPath } from 'node:url'
import { promiseHooks } from 'node:v8'
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

/** A plan module that makes more promises than this is not watched any more: each costs a stack. */
const PROMISES_WATCHED_MAX = 20_000

/** Notes where the module last began to wait at its top level. */
const watchAwaits = (): Readonly<{ stop: () => void; place: () => readonly [number, number] | null }> => {
  let left = PROMISES_WATCHED_MAX
  let place: readonly [number, number] | null = null
  const stop = promiseHooks.onInit(() => {
    left -= 1
    if (left < 0) {
      place = null
      stop()
      return
    }
    // What runs at the top level of a module has no name in a stack, and so no brackets around its place.
    const frame = (new Error().stack ?? '').split('\n').find((line) => line.startsWith(`    at ${url}:`))
    const [, line, column] = /:(\d+):(\d+)$/.exec(frame ?? '') ?? []
    if (line !== undefined) place = [Number(line), Number(column)]
  }) as () => void
  return { stop, place: () => place }
}

const unfinished = (place: readonly [number, number] | null): ModuleAnswer => {
  const [line, column] = place ?? [null, null]
  const where = place === null ? '' : ' here'
  const message = `the plan module never finished loading: it waits${where} for something that never comes`
  const hint = 'a plan module only describes: end or remove the `await`, and let its jobs do the waiting'
  return { errors: [{ file: null, line, column, path: '', message, hint }], total: 1 }
}

const toText = (answer: ModuleAnswer): string => {
  try {
    return JSON.stringify(answer)
  } catch (error) {
    return JSON.stringify(failureOf(error))
  }
}

const answer = (given: ModuleAnswer): void => {
  createWriteStream('', { fd: 3 }).end(toText(given), () => exit(0))
}

// No `await` here: of one that never ends Node would speak in our name.
const awaits = watchAwaits()
process.once('beforeExit', () => answer(unfinished(awaits.place())))
void load().then((given) => {
  awaits.stop()
  answer(given)
})
