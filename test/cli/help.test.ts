import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { EXITS, exitsInHelp, helpLayout } from '../../src/cli/help.ts'
import { ERRORS } from '../../src/errors.ts'

const helpAt = (width: number): string => {
  let said = ''
  const program = new Command('tenuto')
    .description('A supervised, durable runtime for plans of jobs.')
    .helpOption(false)
    .helpCommand(false)
    .option('--home <dir>', 'the home to use')
    .option('--allow-stale-build', 'run although the build is not of the source beside it')
    .configureOutput({ writeOut: (text) => (said += text), getOutHelpWidth: () => width })
    .configureHelp(helpLayout)
  program.command('validate <files...>').helpOption(false).description('check plan files')
  program.outputHelp()
  return said
}

test('where there is room what a thing is stands beside its name, and breaks between words', () => {
  expect(helpAt(60)).toBe(`Usage: tenuto [options] [command]

A supervised, durable runtime for plans of jobs.

Options:
  --home <dir>         the home to use
  --allow-stale-build  run although the build is not of the
                       source beside it

Commands:
  validate <files...>  check plan files
`)
})

test('on a narrow terminal it stands under its name', () => {
  expect(helpAt(40)).toBe(`Usage: tenuto [options] [command]

A supervised, durable runtime for plans
of jobs.

Options:
  --home <dir>
      the home to use
  --allow-stale-build
      run although the build is not of
      the source beside it

Commands:
  validate <files...>
      check plan files
`)
})

test('without a terminal nothing is broken', () => {
  expect(helpAt(Number.POSITIVE_INFINITY)).toContain(
    '  --allow-stale-build  run although the build is not of the source beside it\n',
  )
})

/** Broken on purpose once, and seen: a code that the help does not know. */
test('help has every exit code, as the manual does, and fits', () => {
  const known = EXITS.map(([code]) => code)
  const manual = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
  const rows = manual.split('\n').filter((line) => /^\| \d+ +\|/.test(line))
  const inManual = rows.flatMap((row) =>
    [...row.matchAll(/\| (\d+) +(?=\|)/g)].map(([, code]) => Number(code)),
  )

  expect(known).toEqual(Array.from({ length: 13 }, (_, code) => code))
  expect(inManual.toSorted((a, b) => a - b)).toEqual(known)
  for (const { exit } of Object.values(ERRORS)) expect(known).toContain(exit)
  for (const width of [20, 40, 80])
    for (const line of exitsInHelp(width).split('\n')) expect(line.length).toBeLessThanOrEqual(width)
  expect(exitsInHelp(80)).toContain('\n  10  waits for a person\n')
})
