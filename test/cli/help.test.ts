import { Command } from 'commander'
import { expect, test } from 'vitest'
import { helpLayout } from '../../src/cli/help.ts'

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
