/**
 * `tenuto`: the table of its commands, its exit codes, and the one place that prints errors. Each command's code is loaded when it
 * is called.
 */
import { Command, CommanderError, Option } from 'commander'
import { TenutoError } from '../errors.ts'
import type { ActFlags } from './act.ts'
import type { RestoreFlags } from './backup.ts'
import { checkBuild } from './build.ts'
import type { DoctorFlags } from './doctor.ts'
import type { GcFlags } from './gc.ts'
import { exitsInHelp, helpLayout } from './help.ts'
import type { LsFlags } from './ls.ts'
import { unwritten, writeAnswer, writeTalk } from './output.ts'
import type { LogFlags } from './read.ts'
import { tellError } from './report.ts'
import type { RunFlags } from './run.ts'
import { complain, type Globals, homeFlag, screen, spelled } from './screen.ts'
import type { UpFlags } from './up.ts'

const asksJson = process.argv.includes('--json')

/** The flags of the command, once they are read. */
let given: Globals = {}

/** Prints an error. Answers the exit code. */
const report = (error: unknown): number => {
  const how = { json: asksJson, verbose: given.verbose === true, homeFlag: homeFlag(given) }
  const { lines, exit } = tellError(error, how)
  // One line of JSON is no sentence.
  for (const line of lines)
    if (asksJson) writeTalk(`${spelled(line)}\n`)
    else complain(line)
  return exit
}

const later = (what: string, remedy: string): never => {
  throw new TenutoError('NOT_YET', { what, remedy })
}

const output = { writeOut: writeAnswer, writeErr: () => {}, getOutHelpWidth: () => screen({}).width }

const program = new Command('tenuto')
  .description('A supervised, durable runtime for plans of jobs.')
  .option('--home <dir>', 'the home to use')
  .option('--json', 'answer in JSON')
  .option('-q, --quiet', 'only the answer')
  .option('-v, --verbose', 'say more')
  .option('--no-color', 'no colours')
  .option('--no-input', 'never ask a person')
  .option('--allow-stale-build', 'run although the build is not of the source beside it')
  .helpCommand(false)
  .showHelpAfterError(false)
  .exitOverride()
  .configureOutput(output)
  .configureHelp(helpLayout)
  .addHelpText('after', () => exitsInHelp(output.getOutHelpWidth()))

let exit = 0
const does =
  <A extends unknown[]>(act: (flags: Globals & Record<string, unknown>, ...values: A) => Promise<number>) =>
  async (...all: unknown[]): Promise<void> => {
    const command = all.at(-1) as Command
    const above = command.parent === program ? '' : `${command.parent?.name()} `
    const said = command.optsWithGlobals<Globals & { reason?: string }>()
    // A reason that says nothing is none.
    if (said.reason?.trim() === '') delete said.reason
    given = said
    if (given.home === '') throw new TenutoError('USAGE', { what: '--home names no folder: it is empty' })
    checkBuild(`${above}${command.name()}`, given)
    exit = await act(given, ...(all.slice(0, -2) as A))
  }
const sub = (usage: string, description: string): Command => {
  const made = program.command(usage).description(description).exitOverride().configureOutput(output)
  for (const option of [
    '--home <dir>',
    '--json',
    '-q, --quiet',
    '-v, --verbose',
    '--no-color',
    '--no-input',
    '--allow-stale-build',
  ]) {
    made.addOption(new Option(option).hideHelp())
  }
  return made
}
/** Its port comes by `asked`, so that a file after it is not taken for one. */
const INSPECT = [
  '--inspect',
  'show every live actor to the Stately inspector, on this machine only; --inspect=PORT picks the port',
] as const
const TIMEOUT = [
  '--timeout <duration>',
  'stop following after so long (exit 8); without a daemon nothing new starts before `resume`',
] as const

const ALLOW_DEBUGGER = ['--allow-debugger', 'go on although a debugger can be attached'] as const

sub('run <file>', 'run a plan file and follow it to its end')
  .option('--key <key>', 'idempotency key: the same plan under the same key is the same plan')
  .option('--max-parallel <n>', 'jobs at once, instead of what the plan says')
  .option(...TIMEOUT)
  .addOption(new Option('-i, --inputs <k=v>').hideHelp())
  .option('--detach', 'submit to the daemon of the home and do not follow')
  .option(...ALLOW_DEBUGGER)
  .option(...INSPECT)
  .addOption(new Option('--inspect-port <n>').hideHelp())
  .action(
    does(async (flags, file: string) => {
      if (flags['inputs']) later('-i', 'write the value into the plan, or pass it as an environment variable')
      return (await import('./run.ts')).run(file, flags as RunFlags)
    }),
  )
sub('resume [ref]', 'take up what has not ended')
  .option(...TIMEOUT)
  .option(...ALLOW_DEBUGGER)
  .action(does(async (flags, ref?: string) => (await import('./run.ts')).resume(ref, flags as RunFlags)))
sub('up', 'serve the home: take up what has not ended, and run what is submitted')
  .option('--max-parallel <n>', 'attempts at once, across all plans (2 for each core, at least 4)')
  .option('--detach', 'in the background; returns when it answers')
  .option('--no-parent', 'one process alone, which nothing starts again when it dies')
  .addOption(new Option('--worker [again]').hideHelp())
  .option(...INSPECT)
  .addOption(new Option('--inspect-port <n>').hideHelp())
  .option('--port <n>', 'where the API listens (7717); 0 picks a port')
  .option('--host <host>', 'the address it listens on (127.0.0.1)')
  .option('--allow-remote', 'let other machines reach it: nothing is encrypted')
  .option(...ALLOW_DEBUGGER)
  .action(
    does(async (flags) => {
      const { refuseDebugger } = await import('./debugger.ts')
      refuseDebugger('tenuto up', flags)
      return flags['worker'] || flags['detach'] || flags['parent'] === false
        ? (await import('./up.ts')).up(flags as UpFlags)
        : (await import('./parent.ts')).parent(flags)
    }),
  )
sub('down', 'stop the daemon of the home; attempts run on')
  .option('--drain', 'let what runs end first; nothing new starts meanwhile')
  .action(does(async (flags) => (await import('./down.ts')).down(flags)))
sub(
  'daemon <pause|drain|resume>',
  'pause: start nothing new; drain: and take no plan in; resume: let all go on',
)
  .option('--reason <text>', 'why; kept with the order, and shown')
  .action(does(async (flags, what: string) => (await import('./daemon.ts')).daemon(what, flags)))
sub('service', 'print a unit with which systemd keeps the daemon of this home')
  .option('--port <n>', 'where its API listens (7717); 0 picks a port')
  .action(does(async (flags) => (await import('./unit.ts')).unit(flags)))
sub('status', 'say who serves the home, and what is in it').action(
  does(async (flags) => (await import('./status.ts')).status(flags)),
)
sub('open', 'let a browser in: print a link to the daemon that works once')
  .option('--browser', 'also open it')
  .action(does(async (flags) => (await import('./open.ts')).open(flags)))
sub('validate <files...>', 'check plan files').action(
  does(async (flags, files: string[]) => (await import('./plan.ts')).validate(files, flags, report)),
)
sub('graph <file|ref>', 'draw a plan')
  .option('--format <format>', 'tree, mermaid, dot or json')
  .action(does(async (flags, of: string) => (await import('./plan.ts')).graph(of, flags)))
sub('schema <what>', 'print the JSON Schema of plan files: tenuto schema plan').action(
  does(async (flags, what: string) => (await import('./plan.ts')).schema(what, flags)),
)
sub('ls [what]', 'list plans, or jobs')
  .option('--state <state>', 'only those in this state, or in one of several with commas between them')
  .option('--name <name>', 'only plans of this name, or their jobs')
  .option('--limit <n>', 'at most so many (50; at most 200)')
  .action(
    does(async (flags, what = 'plans') => (await import('./ls.ts')).ls(what as string, flags as LsFlags)),
  )
sub('watch [ref]', 'draw the plans of a home, or the jobs of a plan, as they change; q leaves').action(
  does(async (flags, ref?: string) => (await import('./watch.ts')).watch(ref, flags)),
)
sub('show <ref>', 'show a plan, a job or an attempt').action(
  does(async (flags, ref: string) => (await import('./read.ts')).show(ref, flags)),
)
sub('explain <ref>', 'say why a plan or a job waits, or ended as it did, and what would change it').action(
  does(async (flags, ref: string) => (await import('./explain.ts')).explain(ref, flags)),
)
sub('inspect <ref>', 'look into the actor of a plan or a job: what it remembers, what waits for it').action(
  does(async (flags, ref: string) => (await import('./inspection.ts')).inspect(ref, flags)),
)
sub('logs <ref>', 'what a job or a plan has written')
  .option('-f, --follow', 'go on until it ends')
  .option('--attempt <n>', 'of this attempt instead of the latest')
  .action(does(async (flags, ref: string) => (await import('./read.ts')).logs(ref, flags as LogFlags)))
sub('events [ref]', 'what happened, step by step')
  .option('-f, --follow', 'go on with what happens')
  .action(does(async (flags, ref?: string) => (await import('./read.ts')).events(ref, flags)))
for (const [what, about] of [
  ['cancel', 'stop a plan or a job'],
  ['pause', 'start nothing more of a plan'],
  ['continue', 'let a paused or quarantined plan go on'],
  ['skip', 'end a job without running it'],
  ['now', 'do not wait for the next attempt of a job: start it'],
  ['approve', 'say yes to a job that asks'],
  ['reject', 'say no to a job that asks'],
] as const) {
  sub(`${what} <ref>`, about)
    .option('--reason <text>', 'why; kept with what happened')
    .action(does(async (flags, ref: string) => (await import('./act.ts')).act(what, ref, flags as ActFlags)))
}
sub('retry <ref>', 'run again what has ended: a job, or a whole plan')
  .option('--downstream', 'with everything after it')
  .option('--failed', 'all that did not succeed')
  .option('--reason <text>', 'why; kept with what happened')
  .action(does(async (flags, ref: string) => (await import('./act.ts')).act('retry', ref, flags as ActFlags)))
sub(
  'secret <ls|set> <ref> [names...]',
  'ls: the secrets a plan names; set: take their values from here again',
).action(
  does(async (flags, what: string, ref: string, names: string[]) =>
    (await import('./secret.ts')).secret(what, ref, names, flags),
  ),
)
sub('sweep', 'look now for what messages have missed, and repair it')
  .option('--reason <text>', 'why; kept with what happened')
  .action(does(async (flags) => (await import('./act.ts')).sweep(flags as ActFlags)))
sub('tree', 'show the parts of whoever serves, what failed, and what waits for whom').action(
  does(async (flags) => (await import('./tree.ts')).tree(flags)),
)
sub('dead [what] [id]', 'messages that could not be delivered: list them, show one, redeliver or discard it')
  .option('--reason <text>', 'why; kept with what happened')
  .action(
    does(async (flags, what?: string, id?: string) =>
      (await import('./dead.ts')).dead(what, id, flags as ActFlags),
    ),
  )
sub('gc', 'remove what is kept no longer of plans that have ended')
  .option('--dry-run', 'only say what would be removed')
  .option('--older-than <age>', 'remove plans that ended so long ago, as 12h or 30d (the default)')
  .option('--keep <n>', 'remove also what is beyond the newest so many of them (10000)')
  .option('--shrink', 'also give what is free in the journal back; nobody may hold the home')
  .option('--reason <text>', 'why; kept with what happened')
  .action(does(async (flags) => (await import('./gc.ts')).gc(flags as GcFlags)))
sub('doctor', 'say whether this machine and a home are well, and what to do where they are not')
  .option('--audit', 'also follow the whole history and compare it with every file')
  .action(does(async (flags) => (await import('./doctor.ts')).doctor(flags as DoctorFlags)))
sub(
  'backup [file]',
  'copy what a home knows, also while it is held; without a file, to its folder backups',
).action(does(async (flags, file?: string) => (await import('./backup.ts')).backup(file, flags)))
sub('restore <file>', 'put a backup in the place of what a home knows; nobody may hold it')
  .option('--force', 'also one of another home')
  .action(
    does(async (flags, file: string) => (await import('./backup.ts')).restore(file, flags as RestoreFlags)),
  )
sub('machines [name]', 'draw the state machines of plans and jobs')
  .option('--format <format>', 'mermaid or json')
  .action(does(async (flags, name?: string) => (await import('./plan.ts')).machines(name, flags)))
sub('version', 'say which build this is').action(
  does(async (flags) => (await import('./plan.ts')).version(flags)),
)

/** What commander says of wrong usage, in our words. */
const usage = (error: CommanderError): unknown => {
  if (error.exitCode === 0) return undefined
  if (error.message === '(outputHelp)') return new TenutoError('USAGE', { what: 'a command is missing' })
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\n/g, ' ')
    // Where an argument has choices, they are its name.
    .replace(/^missing required argument '(.*)\|(.*)'$/, (_, all: string, last: string) => {
      return `missing required argument: ${all.replaceAll('|', ', ')} or ${last}`
    })
  return new TenutoError('USAGE', { what: text })
}

/** What was meant by the words that other programs have for the same. */
const asked = (words: readonly string[]): readonly string[] => {
  const [first, ...rest] = words
  if (first === 'help') return [...rest, '--help']
  if (first === '--version' || first === '-V') return ['version', ...rest]
  return words.flatMap((word) =>
    word.startsWith('--inspect=') ? ['--inspect', '--inspect-port', word.slice('--inspect='.length)] : [word],
  )
}

const main = async (): Promise<number> => {
  const wanted = asked(process.argv.slice(2))
  if (wanted.length === 0) {
    program.outputHelp()
    return 2
  }
  try {
    await program.parseAsync(wanted, { from: 'user' })
    return exit
  } catch (error) {
    const wrong = error instanceof CommanderError ? usage(error) : error
    return wrong === undefined ? 0 : report(wrong)
  }
}

/** The exit code, which says of an answer that was lost what else nobody would notice. */
const answered = (code: number): number => {
  const why = unwritten()
  if (why === null) return code
  const lost = report(new TenutoError('OUTPUT_UNWRITTEN', { why }))
  return code === 0 ? lost : code
}

// At once: while Node takes itself apart, a signal would kill it, and the exit code would be lost.
process.exit(answered(await main()))
