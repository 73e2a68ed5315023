/**
 * Plan files that are programs. A module is run once, in a process of its own with a time limit, and only its plan comes back, as
 * JSON; what it prints is kept from the answer.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { childEnvironment } from '../config.ts'
import type { Definition } from '../definition.ts'
import { compile } from './compile.ts'
import type { ModuleAnswer } from './plan-module-main.ts'
import { ERRORS_SHOWN_MAX, guesser, type PlanError, planInvalid, toPlanError } from './problem.ts'
import { planSource } from './source.ts'

/** Whether a path names a plan that is a program. */
export const isPlanModule = (path: string): boolean => /\.[mc]?[tj]s$/.test(path)

/** How long a plan module may take. */
export const MODULE_TIME_MAX_MS = 10_000
/** The most JSON that a plan module may answer with. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024
/** Of what a module prints, the end that is kept for an error. */
const PRINTED_MAX = 4_000

/**
 * Runs a plan module and compiles its default export. A plan without a name gets `name`.
 * @throws {TenutoError} PLAN_INVALID when the module fails, takes longer than `limitMs`, or exports no good plan.
 */
export const readPlanModule = async (
  file: string,
  options: Readonly<{ name: string; limitMs?: number }>,
): Promise<Definition> => {
  const limitMs = options.limitMs ?? MODULE_TIME_MAX_MS
  const answer = await runModule(file, limitMs)
  if ('errors' in answer) {
    throw planInvalid(
      answer.errors.map((error) => ({ ...error, file, line: error.line ?? 1, column: error.column ?? 1 })),
      answer.total,
    )
  }
  const compiled = compile(planSource(answer.definition), { origin: 'program', name: options.name })
  if (!compiled.ok) {
    const guess = guesser()
    const top = { file, line: 1, column: 1 }
    const errors = compiled.problems
      .slice(0, ERRORS_SHOWN_MAX)
      .map((problem) => toPlanError(problem, top, guess))
    throw planInvalid(errors, compiled.problems.length + compiled.more)
  }
  const { definition } = compiled
  const calls = Object.entries(definition.jobs).filter(([, job]) => job.kind === 'call')
  if (calls.length > 0) {
    const hint = 'submit the plan with createRuntime, or use `run` or `exec`'
    const errors = calls.map(([name]) =>
      failure(file, '`call` needs a program that registered the handler', hint, `jobs.${name}.call`),
    )
    throw planInvalid(errors)
  }
  return answer.unnamed ? { ...definition, name: options.name } : definition
}

const failure = (file: string, message: string, hint: string, path = ''): PlanError => ({
  file,
  line: 1,
  column: 1,
  path,
  message,
  hint,
})

const runModule = async (file: string, limitMs: number): Promise<ModuleAnswer> => {
  // The same folder and extension as this file has: `.ts` while developing, `.js` when built.
  const beside = new URL('./plan-module-main.ts', import.meta.url)
  const main = fileURLToPath(beside).replace(/\.ts$/, extname(import.meta.url))
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, pathToFileURL(resolve(file)).href],
    {
      env: childEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
    },
  )
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const [, out, err, channel] = child.stdio as unknown as [null, Readable, Readable, Readable]
  const printed = tail(out, err)
  const answered = readText(channel, ANSWER_BYTES_MAX)
  const [code, signal] = await ended
  const text = await answered
  // A process that the module left behind may hold these open.
  out.destroy()
  err.destroy()
  if (text === undefined)
    throw planInvalid([failure(file, `the plan is larger than ${ANSWER_BYTES_MAX} bytes`, 'split the plan')])
  if (text !== '') {
    try {
      return JSON.parse(text) as ModuleAnswer
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
  }
  const last = printed()
  if (signal === 'SIGKILL') {
    throw planInvalid([
      failure(
        file,
        `the plan module took longer than ${limitMs} ms, or was killed`,
        'a plan module only describes; let its jobs do the work',
      ),
    ])
  }
  const how = signal === null ? `with code ${code}` : `by ${signal}`
  const said = last === '' ? '' : `; it printed: ${last}`
  throw planInvalid([
    failure(
      file,
      `the plan module ended ${how} before its plan was made${said}`,
      'remove what ends the process',
    ),
  ])
}

/** Keeps the end of what comes from some streams. */
const tail = (...streams: readonly Readable[]): (() => string) => {
  let kept = ''
  for (const stream of streams) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      kept = (kept + chunk).slice(-PRINTED_MAX)
    })
    stream.on('error', () => undefined)
  }
  return () => kept.trim().split('\n').slice(-5).join(' | ')
}

const readText = async (stream: Readable, max: number): Promise<string | undefined> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= max) chunks.push(chunk)
  }
  return bytes > max ? undefined : Buffer.concat(chunks).toString('utf8')
}
