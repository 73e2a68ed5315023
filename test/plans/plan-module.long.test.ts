import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isTenutoError, type TenutoError } from '../../src/errors.ts'
import { readPlanFile } from '../../src/plans/plan-file.ts'
import { readPlanModule } from '../../src/plans/plan-module.ts'
import type { PlanError } from '../../src/plans/problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenuto-plan-module-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const definePlanUrl = new URL('../../src/plans/define-plan.ts', import.meta.url).href
const fileWith = (name: string, ...lines: string[]): string => {
  const path = join(folder, name)
  writeFileSync(path, `import { definePlan } from '${definePlanUrl}'\n${lines.join('\n')}\n`)
  return path
}

const failureOf = async (read: Promise<unknown>): Promise<TenutoError> => {
  try {
    await read
  } catch (error) {
    if (isTenutoError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}
const errorsOf = async (read: Promise<unknown>): Promise<readonly PlanError[]> => {
  const error = await failureOf(read)
  expect(error).toMatchObject({ code: 'PLAN_INVALID', exit: 3 })
  return error.fields['errors'] as readonly PlanError[]
}

describe('a plan that is a program', () => {
  test('is run, and named after its file when it has no name', async () => {
    const path = fileWith(
      'Word_Count.plan.ts',
      'const parts: string[] = ["a", "b"]',
      'console.log("this is not the answer")',
      'setInterval(() => {}, 1000)',
      'export default definePlan({ jobs: Object.fromEntries(parts.map((part) => [part, { exec: ["wc", part] }])) })',
    )

    const { definition, base } = await readPlanFile(path)

    expect(base).toBe(folder)
    expect(definition.name).toBe('word-count')
    expect(definition.jobs).toMatchObject({
      a: { kind: 'exec', exec: ['wc', 'a'] },
      b: { exec: ['wc', 'b'] },
    })
  })

  test('may export a plain plan, later, and keep its own name', async () => {
    const path = fileWith(
      'x.mjs',
      'export default Promise.resolve({ name: "own", jobs: { a: { run: "x" } } })',
    )

    expect((await readPlanFile(path)).definition.name).toBe('own')
  })

  test('its errors are told with the place where the plan is defined', async () => {
    const path = fileWith(
      'wrong.ts',
      '',
      'export default definePlan({',
      '  jobs: { a: { rnu: "x" }, b: { run: 1 } },',
      '} as never)',
    )

    expect(await errorsOf(readPlanFile(path))).toEqual([
      {
        file: path,
        line: 3,
        column: 16,
        path: 'jobs.a',
        message: 'job `a` has no kind key',
        hint: 'give it `run: …`, `exec: […]` or `approve: { prompt: … }`',
      },
      {
        file: path,
        line: 3,
        column: 16,
        path: 'jobs.a.rnu',
        message: 'unknown key "rnu"',
        hint: 'did you mean `run`?',
      },
      {
        file: path,
        line: 3,
        column: 16,
        path: 'jobs.b.run',
        message: 'expected text, found 1',
        hint: 'quote it: "1"',
      },
    ])
  })

  test('what it throws is told with its line', async () => {
    const path = fileWith(
      'throws.ts',
      'const soon = (): never => { throw new RangeError("too soon") }',
      'export default soon()',
    )

    expect(await errorsOf(readPlanFile(path))).toMatchObject([
      { file: path, line: 2, column: 35, message: 'the plan module fails: RangeError: too soon' },
    ])
  })

  test.each<[string, string, RegExp]>([
    ['no-default.ts', 'export const plan = 1', /has no plan as its default export/],
    ['syntax.ts', 'export default {{', /^the plan module fails: SyntaxError/],
    ['import.ts', 'import "./none.ts"', /^the plan module fails: Error: Cannot find module/],
    [
      'exits.ts',
      'console.error("goodbye"); process.exit(3)',
      /ended with code 3 before its plan was made; it printed: goodbye$/,
    ],
    ['closure.ts', 'export default { jobs: { a: { run: () => 1 } } }', /^a function is no JSON value$/],
    [
      'call.ts',
      'export default definePlan({ jobs: { a: { call: "x" } } })',
      /needs a program that registered the handler/,
    ],
  ])('%s is refused', async (name, line, message) => {
    const [error] = await errorsOf(readPlanFile(fileWith(name, line)))

    expect(error?.message).toMatch(message)
    expect(error?.line).toBeGreaterThanOrEqual(1)
  })

  test('that never ends is ended at its limit', async () => {
    const path = fileWith('hangs.ts', 'for (;;) {}')

    const [error] = await errorsOf(readPlanModule(path, { name: 'x', limitMs: 300 }))

    expect(error?.message).toMatch(/took longer than 300 ms/)
  })

  test('that is missing is wrong usage', async () => {
    expect(await failureOf(readPlanFile(join(folder, 'none.ts')))).toMatchObject({
      code: 'FILE_MISSING',
      exit: 2,
    })
  })

  test('that never finishes loading is told where it waits, and what to do', async () => {
    const never = fileWith(
      'never.plan.ts',
      'const asked: number = 1',
      'export default {}',
      'await new Promise(() => {})',
    )
    const later = fileWith(
      'later.plan.ts',
      'await Promise.resolve(1)',
      'const it =',
      '  await new Promise(() => {})',
    )
    const plan = fileWith('plan.plan.ts', 'export default new Promise(() => {})')
    const hint = 'a plan module only describes: end or remove the `await`, and let its jobs do the waiting'
    const message = (here: string) =>
      `the plan module never finished loading: it waits${here} for something that never comes`

    expect(await errorsOf(readPlanFile(never))).toEqual([
      { file: never, line: 4, column: 7, path: '', message: message(' here'), hint },
    ])
    expect(await errorsOf(readPlanFile(later))).toMatchObject([{ line: 4, column: 9 }])
    expect(await errorsOf(readPlanFile(plan))).toMatchObject([
      { file: plan, message: expect.stringContaining('never finished loading') as string },
    ])
  })

  test('that makes promises without number is watched no longer than it costs nothing', async () => {
    const many = fileWith(
      'many.plan.ts',
      'for (let at = 0; at < 200_000; at++) void Promise.resolve(at).then(() => {})',
      'await new Promise(() => {})',
    )

    expect(await errorsOf(readPlanFile(many))).toMatchObject([
      {
        line: 1,
        column: 1,
        message: 'the plan module never finished loading: it waits for something that never comes',
      },
    ])
  })
})
