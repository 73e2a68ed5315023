import { expect, test } from 'vitest'
import { tellError } from '../../src/cli/report.ts'
import { wrongState } from '../../src/command.ts'
import { TenutoError } from '../../src/errors.ts'
import { planInvalid } from '../../src/plans/problem.ts'

const plainly = { json: false, verbose: false, homeFlag: '' }
const wrong = { file: 'p.yaml', line: 2, column: 3, path: 'jobs', message: 'unknown key', hint: 'remove it' }

test('an error says what is wrong and what to do; a plan file every place', () => {
  expect(tellError(new TenutoError('NO_DAEMON', { home: '/h' }), plainly)).toEqual({
    lines: ['tenuto: no daemon serves /h', '  start one with `tenuto up`'],
    exit: 5,
  })
  expect(tellError(planInvalid([wrong], 3), plainly)).toEqual({
    lines: [
      'p.yaml:2:3 jobs: unknown key (remove it)',
      '… and 2 more',
      '  mend the places named and try again; nothing was stored',
    ],
    exit: 3,
  })
})

test('what nobody knows is told as a defect, with its stack only on request', () => {
  const error = new Error('boom')

  expect(tellError(error, plainly)).toMatchObject({
    lines: ['tenuto: unexpected: boom', expect.any(String)],
    exit: 12,
  })
  expect(tellError(error, { ...plainly, verbose: true }).lines).toContain(error.stack)
})

test('with --json an error is one line in the envelope, with every place of a plan file', () => {
  const { lines } = tellError(planInvalid([wrong]), { ...plainly, json: true })

  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    error: {
      code: 'PLAN_INVALID',
      message: expect.any(String) as string,
      hint: 'mend the places named and try again; nothing was stored',
      docs: 'docs/errors.md#plan_invalid',
      exit: 3,
      errors: [wrong],
    },
  })
})

test('a command that is suggested names the home that was asked for, once, and only where it needs one', () => {
  const hintOf = (error: unknown, json = false) =>
    tellError(error, { json, verbose: false, homeFlag: " --home '/a b'" }).lines.at(-1)

  const standing = { state: 'failed', plan: 'failed', failures: 1 }
  expect(hintOf(wrongState('p-abcdef', { do: 'continue' }, standing))).toBe(
    "  to run again what did not succeed: `tenuto retry p-abcdef --failed --home '/a b'`",
  )
  const { lines } = tellError(new TenutoError('SECRETS_GONE', { plan: 'p-abcdef', names: 'KEY' }), {
    ...plainly,
    homeFlag: " --home '/a b'",
  })
  expect(lines[0]).toContain("`tenuto secret set p-abcdef --home '/a b'`")
  expect(hintOf(new TenutoError('USAGE', { what: 'x' }))).toBe('  see `tenuto --help`')
  expect(hintOf(new TenutoError('INTERNAL', { what: 'x' }))).toContain('`tenuto version`')
  expect(hintOf(new TenutoError('DAEMON_FAILED', { home: '/h', why: 'no', path: 'p' }))).toContain(
    '`tenuto up --home /h`',
  )
  expect(hintOf(new TenutoError('NO_DAEMON', { home: '/h' }), true)).toContain("`tenuto up --home '/a b'`")
})
