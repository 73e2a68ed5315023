import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { isTenutoError, TenutoError } from '../../src/errors.ts'
import { defaultName, parsePlan, readPlanFile } from '../../src/plans/plan-file.ts'
import { formatPlanError, type PlanError } from '../../src/plans/problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenuto-plan-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const fileWith = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const failure = (act: () => unknown): TenutoError => {
  try {
    act()
  } catch (error) {
    if (isTenutoError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

const failureOf = async (act: () => Promise<unknown>): Promise<TenutoError> =>
  act().then(
    () => {
      throw new Error('it was accepted')
    },
    (error: unknown) => {
      if (isTenutoError(error)) return error
      throw error
    },
  )

const errorsOf = (text: string): string[] =>
  (failure(() => parsePlan(text, { file: 'p.yaml' })).fields['errors'] as PlanError[]).map(formatPlanError)

const plan = (...jobs: string[]): string =>
  ['plan: v1', 'jobs:', ...jobs.map((job) => `  ${job}`), ''].join('\n')

describe('a wrong plan', () => {
  test.each<[string, string, string[]]>([
    [
      'an unknown key at the top',
      'plan: v1\nonFailuer: stop\njobs: { a: { run: x } }\n',
      ['p.yaml:2:1 onFailuer: unknown key "onFailuer" (did you mean `onFailure`?)'],
    ],
    [
      'an unknown key of a job',
      plan('a: { run: x, timeuot: 1s }'),
      ['p.yaml:3:16 jobs.a.timeuot: unknown key "timeuot" (did you mean `timeout`?)'],
    ],
    [
      'an unknown key of retry',
      plan('a:', '  run: x', '  retry:', '    maxx: 1'),
      ['p.yaml:6:7 jobs.a.retry.maxx: unknown key "maxx" (did you mean `max`?)'],
    ],
    [
      'an unknown need in a list',
      plan('build: { run: x }', 'a: { needs: [build, biuld], run: x }'),
      [
        'p.yaml:4:23 jobs.a.needs[1]: job `a` needs `biuld`, which is not in the plan (did you mean `build`?)',
      ],
    ],
    [
      'an unknown need in a map',
      plan('build: { run: x }', 'a:', '  run: x', '  needs:', '    build: any', '    tests: success'),
      [
        'p.yaml:8:7 jobs.a.needs.tests: job `a` needs `tests`, which is not in the plan (name a job of this plan)',
      ],
    ],
    [
      'a job that needs itself',
      plan('a: { needs: [a], run: x }'),
      ['p.yaml:3:16 jobs.a.needs[0]: job `a` needs itself: a → a (remove one of these needs)'],
    ],
    [
      'a cycle',
      plan('a: { needs: [b], run: x }', 'b: { needs: { c: any }, run: x }', 'c: { needs: [a], run: x }'),
      ['p.yaml:5:16 jobs.c.needs[0]: the jobs need each other: a → b → c → a (remove one of these needs)'],
    ],
    [
      'two cycles',
      plan(
        'a: { needs: [b], run: x }',
        'b: { needs: [a], run: x }',
        'c: { needs: { d: any }, run: x }',
        'd: { needs: { c: any }, run: x }',
      ),
      [
        'p.yaml:4:16 jobs.b.needs[0]: the jobs need each other: a → b → a (remove one of these needs)',
        'p.yaml:6:17 jobs.d.needs.c: the jobs need each other: c → d → c (remove one of these needs)',
      ],
    ],
    [
      'a need named twice',
      plan('b: { run: x }', 'a: { needs: [b, b], run: x }'),
      ['p.yaml:4:19 jobs.a.needs[1]: `b` is named twice (name it once)'],
    ],
    [
      'needs that are no list',
      plan('b: { run: x }', 'a: { needs: b, run: x }'),
      ['p.yaml:4:15 jobs.a.needs: expected a list or a map of jobs, found "b" (write [b])'],
    ],
    [
      'a wrong condition of a need',
      plan('b: { run: x }', 'a: { needs: { b: sucess }, run: x }'),
      [
        'p.yaml:4:20 jobs.a.needs.b: expected success, any or skipped-ok, found "sucess" (did you mean `success`?)',
      ],
    ],
    [
      'a need and its condition the wrong way round',
      plan('b: { run: x }', 'a: { needs: { any: [b] }, run: x }'),
      [
        'p.yaml:4:22 jobs.a.needs.any: expected success, any or skipped-ok, found a list (the job comes first: {b: any})',
      ],
    ],
    [
      'a wrong condition of a job that is called as a condition is',
      plan('any: { run: x }', 'a: { needs: { any: [b] }, run: x }'),
      ['p.yaml:4:22 jobs.a.needs.any: expected success, any or skipped-ok, found a list'],
    ],
    [
      'two kind keys',
      plan('a:', '  run: x', '  exec: [x]'),
      [
        'p.yaml:5:5 jobs.a.exec: job `a` has more than one kind key: `run` and `exec` (keep one; make the other a job of its own)',
      ],
    ],
    [
      'no kind key',
      plan('a: { timeout: 1s }'),
      [
        'p.yaml:3:3 jobs.a: job `a` has no kind key (give it `run: …`, `exec: […]` or `approve: { prompt: … }`)',
      ],
    ],
    [
      'a duration without unit',
      plan('a: { run: x, timeout: 30 }'),
      ['p.yaml:3:25 jobs.a.timeout: 30 is no duration (give it a unit: 30s)'],
    ],
    [
      'a duration of words',
      plan('a: { run: x, grace: 2 minutes }'),
      ['p.yaml:3:23 jobs.a.grace: "2 minutes" is no duration (write 2m)'],
    ],
    [
      'a timeout of nothing',
      plan('a: { run: x, timeout: 0s }'),
      ['p.yaml:3:25 jobs.a.timeout: "0s" is too short (write at least 1ms)'],
    ],
    [
      'a duration of years',
      plan('a: { run: x, timeout: 9999h }'),
      ['p.yaml:3:25 jobs.a.timeout: "9999h" is too long (a year, 8760h, is the most)'],
    ],
    [
      'a number where text belongs',
      plan('a: { exec: [sleep, 1] }'),
      ['p.yaml:3:22 jobs.a.exec[1]: expected text, found 1 (quote it: "1")'],
    ],
    [
      'text where a list belongs',
      plan('a: { exec: sleep 1 }'),
      [
        'p.yaml:3:14 jobs.a.exec: expected a list, found "sleep 1" (list the program and each argument, or use `run` for shell text)',
      ],
    ],
    [
      'a value left out',
      plan('a:', '  run:'),
      ['p.yaml:4:5 jobs.a.run: expected text, found nothing (write a value, or leave the key out)'],
    ],
    [
      'text that is empty',
      plan('a: { run: " " }'),
      ['p.yaml:3:13 jobs.a.run: it is empty (write what to do, or leave the key out)'],
    ],
    [
      'a word that is none of the choices',
      'plan: v1\nonFailure: stopp\njobs: { a: { run: x } }\n',
      ['p.yaml:2:12 onFailure: expected continue, stop or pause, found "stopp" (did you mean `stop`?)'],
    ],
    [
      'numbers out of bounds',
      'plan: v1\nmaxParallel: 0\njobs: { a: { run: x, retry: { max: 1.5, factor: 0, jitter: 2 } } }\n',
      [
        'p.yaml:2:14 maxParallel: it must be at least 1, and is 0',
        'p.yaml:3:36 jobs.a.retry.max: expected a whole number, found 1.5',
        'p.yaml:3:49 jobs.a.retry.factor: it must be at least 1, and is 0',
        'p.yaml:3:60 jobs.a.retry.jitter: it must be at most 1, and is 2',
      ],
    ],
    [
      'retry as a number',
      plan('a: { run: x, retry: 3 }'),
      ['p.yaml:3:23 jobs.a.retry: expected a map, found 3 (write { max: 3 })'],
    ],
    [
      'nothing to retry on',
      plan('a: { run: x, retry: { max: 1, on: [exti, "exit:300"] } }'),
      [
        'p.yaml:3:38 jobs.a.retry.on[0]: "exti" is nothing to retry on (did you mean `exit`?)',
        'p.yaml:3:44 jobs.a.retry.on[1]: "exit:300" names no exit code (codes are 1 to 255)',
      ],
    ],
    [
      'bad names',
      'plan: v1\nname: My Plan\nenv: { "A-B": x, TENUTO_JOB: y }\njobs: { "a b": { run: x }, .a: { run: x } }\n',
      [
        'p.yaml:2:7 name: "My Plan" cannot be the name of a plan (write my-plan)',
        'p.yaml:3:8 env.A-B: "A-B" is no name of a variable (use letters, digits and `_`)',
        'p.yaml:3:18 env.TENUTO_JOB: TENUTO_JOB is set by tenuto itself (use another name)',
        'p.yaml:4:9 jobs["a b"]: "a b" cannot be the name of a job (use letters, digits, `_`, `.` and `-`, at most 64, and begin with a letter, digit or `_`)',
        'p.yaml:4:28 jobs[".a"]: ".a" cannot be the name of a job (use letters, digits, `_`, `.` and `-`, at most 64, and begin with a letter, digit or `_`)',
      ],
    ],
    [
      'a prototype as a name',
      plan('__proto__: { run: x }', 'a: { run: x, env: { __proto__: y } }'),
      [
        'p.yaml:3:3 jobs.__proto__: `__proto__` cannot be a name (use another name)',
        'p.yaml:4:23 jobs.a.env.__proto__: `__proto__` cannot be a name (use another name)',
      ],
    ],
    [
      'a job twice',
      plan('a: { run: x }', 'a: { run: y }'),
      ['p.yaml:4:3 jobs.a: job "a" stands here twice (remove or rename one)'],
    ],
    [
      'names that YAML reads as something else',
      'plan: v1\njobs:\n  0x10: { run: x }\n  1e3: { run: x }\n  2.0: { run: x }\n  null: { run: x }\n  12: { needs: ["0x10"], run: x }\n',
      [
        'p.yaml:3:3 jobs.0x10: without quotes YAML reads "0x10" as 16 (quote it: "0x10")',
        'p.yaml:4:3 jobs.1e3: without quotes YAML reads "1e3" as 1000 (quote it: "1e3")',
        'p.yaml:5:3 jobs["2.0"]: without quotes YAML reads "2.0" as 2 (quote it: "2.0")',
        'p.yaml:6:3 jobs.null: without quotes YAML reads "null" as nothing (quote it: "null")',
      ],
    ],
    [
      'a number far too big, needs that are no list, and a need that no good name resembles',
      'plan: v1\njobs:\n  a: { run: x, retry: { max: 99999999999999999999 } }\n  b: { needs: a c, run: x }\n  ümlaut: { run: x }\n  c: { needs: [umlaut], run: x }\n',
      [
        'p.yaml:3:30 jobs.a.retry.max: it must be at most 1000000, and is 100000000000000000000',
        'p.yaml:4:15 jobs.b.needs: expected a list or a map of jobs, found "a c" (write [a, c])',
        'p.yaml:5:3 jobs["ümlaut"]: "ümlaut" cannot be the name of a job (use letters, digits, `_`, `.` and `-`, at most 64, and begin with a letter, digit or `_`)',
        'p.yaml:6:16 jobs.c.needs[0]: job `c` needs `umlaut`, which is not in the plan (name a job of this plan)',
      ],
    ],
    [
      'a key twice',
      plan('a: { run: x, timeout: 1s, timeout: 2s }'),
      ['p.yaml:3:29 jobs.a.timeout: key "timeout" stands here twice (remove or rename one)'],
    ],
    [
      'kinds of later versions',
      plan('a: { wait: { for: 1h } }', 'b: { fn: ./x.ts#y }', 'c: { agent: x, timeout: 5 }'),
      [
        'p.yaml:3:8 jobs.a.wait: `wait` is not in this version (leave it out)',
        'p.yaml:4:8 jobs.b.fn: `fn` is not in this version (leave it out)',
        'p.yaml:5:8 jobs.c.agent: `agent` is not in this version (leave it out)',
        'p.yaml:5:27 jobs.c.timeout: 5 is no duration (give it a unit: 5s)',
      ],
    ],
    [
      'keys of later versions',
      'plan: v1\ninputs: { a: 1 }\nbudget: 3\njobs: { a: { run: x, if: "true" } }\n',
      [
        'p.yaml:2:1 inputs: `inputs` is not in this version (leave it out)',
        'p.yaml:3:1 budget: `budget` is not in this version (leave it out)',
        'p.yaml:4:22 jobs.a.if: `if` is not in this version (leave it out)',
      ],
    ],
    [
      'an expression',
      plan('a: { run: x, env: { A: "${{ inputs.b }}" } }'),
      [
        'p.yaml:3:26 jobs.a.env.A: expressions come in a later version (write the value itself instead of `${{ … }}`)',
      ],
    ],
    [
      'a call',
      plan('a: { call: x, with: { id: 1 } }'),
      [
        'p.yaml:3:8 jobs.a.call: `call` needs a program that registered the handler (submit the plan with definePlan and createRuntime, or use `run` or `exec`)',
      ],
    ],
    [
      'a key of another kind',
      plan('a: { exec: [x], shell: bash }'),
      ['p.yaml:3:19 jobs.a.shell: `shell` is for `run` jobs (leave it out)'],
    ],
    [
      'a job key at the top',
      'plan: v1\ntimeout: 1s\njobs: { a: { run: x } }\n',
      ['p.yaml:2:1 timeout: `timeout` belongs to jobs or `defaults` (move it there or leave it out)'],
    ],
    [
      'a kind as a default',
      'plan: v1\ndefaults: { run: x, tiemout: 1s }\njobs: { a: { run: x } }\n',
      [
        'p.yaml:2:13 defaults.run: `run` has no default (write it in each job that has it)',
        'p.yaml:2:21 defaults.tiemout: unknown key "tiemout" (did you mean `timeout`?)',
      ],
    ],
    [
      'no version',
      'jobs: { a: { run: x } }\n',
      ['p.yaml:1:1 plan: the version is missing (begin the file with `plan: v1`)'],
    ],
    [
      'another version',
      'plan: v2\njobs: { a: { run: x } }\n',
      ['p.yaml:1:7 plan: version "v2" is not known here (this tenuto reads `plan: v1`)'],
    ],
    ['no jobs', 'plan: v1\n', ['p.yaml:1:1 jobs: there are no jobs (add `jobs:` with at least one job)']],
    [
      'an empty map of jobs',
      'plan: v1\njobs: {}\n',
      ['p.yaml:2:7 jobs: there are no jobs (add at least one)'],
    ],
    [
      'jobs as a list',
      'plan: v1\njobs: [a]\n',
      ['p.yaml:2:7 jobs: jobs are a map, not a list (write `jobs:` and under it each job by its name)'],
    ],
    [
      'a job that is text',
      plan('a: make'),
      ['p.yaml:3:6 jobs.a: a job is a map, not "make" (write `a: { run: … }`)'],
    ],
    ['a list', '- a\n', ['p.yaml:1:1: a plan is a map, not a list (begin with `plan: v1`)']],
    ['an empty file', '', ['p.yaml:1:1: the file is empty (begin with `plan: v1`)']],
    ['only comments', '# nothing\n\n', ['p.yaml:1:1: the file is empty (begin with `plan: v1`)']],
    [
      'a NUL character',
      'plan: v1\nname: a\0b\n',
      ['p.yaml:2:8: it is binary: here is a NUL character (a plan file is text in UTF-8)'],
    ],
    [
      'a tab as indentation',
      'plan: v1\njobs:\n\ta: { run: x }\n',
      ['p.yaml:3:1: Tabs are not allowed as indentation (indent with spaces)'],
    ],
    [
      'an open quote',
      'plan: v1\nname: "x\njobs: { a: { run: x } }\n',
      ['p.yaml:4:1: Missing closing "quote (close the quote or bracket)'],
    ],
    [
      'wrong indentation',
      'plan: v1\njobs:\n  a: { run: x }\n b: { run: x }\n',
      ['p.yaml:4:2: All mapping items must start at the same column (check the indentation)'],
    ],
    ['two documents', 'plan: v1\n---\nplan: v1\n', ['p.yaml:2:1: a plan file holds one YAML document']],
    [
      'a tag nobody knows',
      'plan: v1\njobs: { a: { run: !x y } }\n',
      ['p.yaml:2:19: Unresolved tag: !x (leave the tag out, or quote text that begins with `!`)'],
    ],
    [
      'an alias of nothing',
      'plan: v1\njobs: { a: *b }\n',
      ['p.yaml:2:12 jobs.a: there is no anchor `b` before this (quote it if `*` was meant as text)'],
    ],
    [
      'a key that is a list',
      'plan: v1\njobs: { [a]: { run: x } }\n',
      ['p.yaml:2:9 jobs: a key must be text (quote it)'],
    ],
    [
      'an anchor in itself',
      'plan: v1\nx: &a [*a]\n',
      ['p.yaml:2:8 x[0]: the anchor `a` contains itself (quote it if `*` was meant as text)'],
    ],
  ])('%s is refused at its line and column', (_, text, errors) => {
    expect(errorsOf(text)).toEqual(errors)
  })

  test('all errors are told at once, in the order of the file', () => {
    const error = failure(() =>
      parsePlan(
        'plan: v1\nname: X Y\ndefaults: { stall: 5 }\njobs:\n  a: { needs: [z], rnu: x }\n  b: { run: 1 }\n  b: { run: x }\nwhat: 1\n',
        { file: 'dir/p.yaml' },
      ),
    )
    const errors = error.fields['errors'] as PlanError[]

    expect(error).toMatchObject({ code: 'PLAN_INVALID', exit: 3, http: 422 })
    expect(error.fields['count']).toBe(7)
    expect(errors.map(({ line, column, path }) => [line, column, path])).toEqual([
      [2, 7, 'name'],
      [3, 20, 'defaults.stall'],
      [5, 3, 'jobs.a'],
      [5, 16, 'jobs.a.needs[0]'],
      [5, 20, 'jobs.a.rnu'],
      [7, 3, 'jobs.b'],
      [8, 1, 'what'],
    ])
    expect(errors[0]).toEqual({
      file: 'dir/p.yaml',
      line: 2,
      column: 7,
      path: 'name',
      message: '"X Y" cannot be the name of a plan',
      hint: 'write x-y',
    })
    expect(error.message).toContain('dir/p.yaml:2:7 name: "X Y" cannot be')
  })

  test('of very many errors a hundred are shown and all are counted', () => {
    const jobs = Array.from({ length: 5000 }, (_, i) => `j${i}: { run: x, needs: [k${i}], bad: 1 }`)
    const error = failure(() => parsePlan(plan(...jobs)))

    expect(error.fields['count']).toBe(10_000)
    expect(error.fields['errors']).toHaveLength(100)
  })

  test('aliases that would repeat more than a file may hold are refused', () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) => `x-${i + 1}: &l${i + 1} [${Array(12).fill(`*l${i}`).join(', ')}]`,
    )

    expect(
      errorsOf(['plan: v1', 'x-0: &l0 [a, b, c]', ...levels, 'jobs: { a: { run: x } }', ''].join('\n')),
    ).toEqual(['p.yaml:1:1: its aliases repeat more than 67108864 characters (use fewer aliases)'])
  })

  test.each([['['], ['{a: '], ['- '], ['a:\n ']])('nesting without end (%j) is refused', (opening) => {
    expect(errorsOf(opening.repeat(20_000)).length).toBeGreaterThan(0)
  })
})

describe('a good plan', () => {
  test('anchors, merge keys and x- keys are for reuse', () => {
    const { definition, warnings } = parsePlan(
      [
        'plan: v1',
        'x-slow: &slow { timeout: 30s, retry: { max: 1 } }',
        'jobs:',
        '  a: { <<: *slow, run: x, x-note: { "${{ not read }}": 1 } }',
        '  b: { <<: [*slow], run: y, timeout: 1m, needs: &all [a] }',
        '  c: { run: z, needs: *all }',
        '',
      ].join('\n'),
    )

    expect(warnings).toEqual([])
    expect(definition.jobs['a']).toMatchObject({ timeoutMs: 30_000, retry: { max: 1 } })
    expect(definition.jobs['b']).toMatchObject({
      timeoutMs: 60_000,
      retry: { max: 1 },
      needs: { a: 'success' },
    })
    expect(definition.jobs['c']).toMatchObject({ needs: { a: 'success' } })
  })

  test('an error in a merged map is told where the map stands', () => {
    expect(errorsOf('plan: v1\nx-d: &d { timeout: 30 }\njobs:\n  a: { <<: *d, run: x }\n')).toEqual([
      'p.yaml:2:20 jobs.a.timeout: 30 is no duration (give it a unit: 30s)',
    ])
  })

  test('an anchor may be used by every job', () => {
    const jobs = Array.from({ length: 2000 }, (_, i) => `j${i}: { run: x, env: *env }`)
    const { definition } = parsePlan(plan(...jobs).replace('jobs:', 'x-env: &env { A: "1" }\njobs:'))

    expect(definition.jobs['j1999']).toMatchObject({ env: { A: '1' } })
  })

  test('a version that does not come first is a warning', () => {
    const { warnings } = parsePlan('jobs: { a: { run: x } }\nplan: v1\n', { file: 'p.yaml' })

    expect(warnings.map(formatPlanError)).toEqual([
      'p.yaml:2:1 plan: `plan: v1` is not the first line (move it to the top)',
    ])
  })

  test('a delay that `maxDelay` cuts is a warning, once and where it was written; a bound that a job sets itself is none', () => {
    const { definition, warnings } = parsePlan(
      `plan: v1
defaults: { retry: { max: 2, delay: 10m } }
jobs:
  a: { run: x }
  b: { run: x, retry: { delay: 1h } }
  c: { run: x, retry: { delay: 1h, maxDelay: 2h } }
  d: { run: x, retry: { maxDelay: 90s } }
  e: { run: x, retry: { delay: 5m } }
  f: { run: x, retry: { max: 0 } }
`,
      { file: 'p.yaml' },
    )
    const short = parsePlan('plan: v1\njobs: { a: { run: x, retry: { max: 1, maxDelay: 500ms } } }\n')

    expect(warnings.map(formatPlanError)).toEqual([
      'p.yaml:2:37 defaults.retry.delay: 10m is longer than `maxDelay`, so that 5m is waited (write `maxDelay: 10m` beside it)',
      'p.yaml:5:32 jobs.b.retry.delay: 1h is longer than `maxDelay`, so that 5m is waited (write `maxDelay: 1h` beside it)',
    ])
    expect(definition.jobs['b']?.retry).toMatchObject({ delayMs: 3_600_000, maxDelayMs: 300_000 })
    expect(short.warnings).toEqual([])
  })

  test('a byte order mark and CRLF line ends are read', () => {
    expect(
      parsePlan('\uFEFFplan: v1\r\njobs:\r\n  a:\r\n    run: |\r\n      x\r\n      y\r\n').definition.jobs[
        'a'
      ],
    ).toMatchObject({
      run: 'x\ny\n',
    })
  })

  test.each([
    ['release.plan.yaml', 'release'],
    ['Fan_Out.YML', 'fan-out'],
    ['dir/a b.yaml', 'a-b'],
    ['x.plan.ts', 'x'],
    ['x.json', 'x'],
    ['.plan.yaml', 'plan'],
    [`${'a'.repeat(80)}.yaml`, 'a'.repeat(64)],
    ['no-extension', 'no-extension'],
    ['🎉.yaml', 'plan'],
    ['ünï cödé.plan.yaml', 'uni-code'],
    ['-x.yaml', 'x'],
    ['日本2.yaml', '2'],
  ])('the file %s gives its plan the name %s', (file, name) => {
    expect(defaultName(file)).toBe(name)
  })
})

describe('reading a file', () => {
  test('its jobs run in its folder, and it is named after itself', async () => {
    const path = fileWith('Good.plan.yaml', plan('a: { run: x }'))

    const read = await readPlanFile(path)

    expect(read).toMatchObject({ file: path, base: folder, warnings: [], definition: { name: 'good' } })
  })

  test('what is no file is refused at once: a pipe that nobody writes to, a socket, a device', async () => {
    const pipe = join(folder, 'pipe.yaml')
    execFileSync('mkfifo', [pipe])
    const socket = join(folder, 'socket.yaml')
    const server = createServer().listen(socket)
    onTestFinished(() => void server.close())
    await once(server, 'listening')

    for (const [path, what] of [
      [pipe, 'a pipe'],
      [socket, 'a socket'],
      ['/dev/null', 'a device'],
    ] as const)
      expect(await failureOf(() => readPlanFile(path))).toMatchObject({
        code: 'FILE_SPECIAL',
        exit: 2,
        message: `${path} is ${what}, and no file`,
      })
  })

  test('a missing file, a folder and an unreadable file are wrong usage', async () => {
    const sealed = fileWith('sealed.yaml', plan('a: { run: x }'))
    chmodSync(sealed, 0)
    mkdirSync(join(folder, 'dir.yaml'))

    expect(await failureOf(() => readPlanFile(join(folder, 'none.yaml')))).toMatchObject({
      code: 'FILE_MISSING',
      exit: 2,
    })
    expect(await failureOf(() => readPlanFile(join(folder, 'dir.yaml')))).toMatchObject({
      code: 'FILE_IS_FOLDER',
      exit: 2,
    })
    expect(await failureOf(() => readPlanFile(join(sealed, 'x.yaml')))).toMatchObject({
      code: 'FILE_MISSING',
      exit: 2,
    })
    const link = join(folder, 'loop.yaml')
    execFileSync('ln', ['-s', link, link])
    expect(await failureOf(() => readPlanFile(link))).toMatchObject({ code: 'FILE_UNREADABLE', exit: 2 })
    if (process.getuid?.() !== 0) {
      expect(await failureOf(() => readPlanFile(sealed))).toMatchObject({ code: 'FILE_UNREADABLE', exit: 2 })
    }
  })

  test('a file of 80 MB is refused without being read', async () => {
    const path = fileWith('big.yaml', '')
    truncateSync(path, 80 * 1024 * 1024)
    const before = process.memoryUsage().rss

    const error = await failureOf(() => readPlanFile(path))

    expect(error).toMatchObject({ code: 'FILE_TOO_BIG', exit: 2 })
    expect(error.fields).toMatchObject({ bytes: 83_886_080, limit: 67_108_864 })
    expect(process.memoryUsage().rss - before).toBeLessThan(40 * 1024 * 1024)
  })

  test('what is no UTF-8 is refused at its first wrong byte', async () => {
    const path = fileWith('latin1.yaml', Buffer.from('plan: v1\nname: caf\xe9\n', 'latin1'))

    const error = await failureOf(() => readPlanFile(path))

    expect(error).toMatchObject({ code: 'PLAN_INVALID', exit: 3 })
    expect((error.fields['errors'] as PlanError[]).map(formatPlanError)).toEqual([
      `${path}:2:10: it is binary or not in UTF-8 (a plan file is text in UTF-8)`,
    ])
    expect(
      await failureOf(() => readPlanFile(fileWith('elf', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0xff])))),
    ).toMatchObject({
      code: 'PLAN_INVALID',
      exit: 3,
    })
  })

  test('errors name the file as it was given', async () => {
    const path = fileWith('wrong.yaml', plan('a: {}'))

    const error = await failureOf(() => readPlanFile(path))

    expect(error.fields['first']).toMatch(new RegExp(`${basename(path)}:3:3 jobs\\.a: `))
  })
})
