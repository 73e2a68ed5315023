/**
 * What the surroundings say, read in one place: where the home is, what environment jobs get, and how to speak to whoever
 * started us. Nothing else of ours reads the environment.
 */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { isatty } from 'node:tty'

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The home: the flag, else `TENUTO_HOME`, else `XDG_STATE_HOME/tenuto`, else `~/.local/state/tenuto`. An empty value counts as
 * none, and so does a relative `XDG_STATE_HOME`, as its standard demands.
 */
export const homeDir = (flag?: string, env: Environment = process.env): string => {
  if (flag) return resolve(flag)
  if (env['TENUTO_HOME']) return resolve(env['TENUTO_HOME'])
  const state = env['XDG_STATE_HOME']
  if (state && isAbsolute(state)) return join(state, 'tenuto')
  return join(env['HOME'] || homedir(), '.local', 'state', 'tenuto')
}

/** Of the submitter's environment jobs get these, and `LC_*`. */
export const JOB_VARIABLES: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'TZ',
  'TMPDIR',
  'TERM',
  'SSH_AUTH_SOCK',
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'NO_PROXY',
  'no_proxy',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
])

/** What jobs get of the submitter's environment: an allow-list, so that no secret is stored by chance. Sorted by name. */
export const jobEnvironment = (env: Environment = process.env): Readonly<Record<string, string>> => {
  const kept: Record<string, string> = {}
  for (const name of Object.keys(env).sort()) {
    const value = env[name]
    if (value !== undefined && (JOB_VARIABLES.has(name) || name.startsWith('LC_'))) kept[name] = value
  }
  return Object.freeze(kept)
}

/** The variables of this process with these names, as far as they are set: the values of secrets are looked up nowhere else. */
export const namedVariables = (
  names: Iterable<string>,
  env: Environment = process.env,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...names].flatMap((name) => (Object.hasOwn(env, name) ? [[name, env[name] ?? '']] : [])),
  )

/** A word of NODE_OPTIONS: quotes keep blanks in it, and in them a backslash keeps the next character. */
const WORD = /(?:"(?:\\.|[^"\\])*"?|[^ "])+/gs
/** What opens a debugger, and what is said about it; Node takes `_` for `-`. */
const DEBUGGER = /^--(?:inspect|debug)(?:[-_]|=|$)/
/** Takes the next word for its value. */
const TAKES_NEXT = /^--(?:inspect|debug)[-_](?:port|publish[-_]uid)$/

/** The environment of this process for a child of it, without what would open a debugger there. */
export const childEnvironment = (env: Environment = process.env): Environment => {
  const { NODE_OPTIONS: options, ...others } = env
  const words = options?.match(WORD) ?? []
  const plainly = (word: string): string => word.replaceAll(/\\(.)|"/gs, '$1')
  const kept = words.filter(
    (word, at) => !DEBUGGER.test(plainly(word)) && !(at > 0 && TAKES_NEXT.test(plainly(words[at - 1] ?? ''))),
  )
  return kept.length === 0 ? others : { ...others, NODE_OPTIONS: kept.join(' ') }
}

/** Whether a home may be on a file system of a network: `TENUTO_NETWORK_HOME` is set. */
export const allowsNetworkHome = (env: Environment = process.env): boolean =>
  isSet(env['TENUTO_NETWORK_HOME'])

/** How to speak to whoever started this process. */
export type Surroundings = Readonly<{
  /** `CI` is set: plain lines, no questions. */
  ci: boolean
  /** Questions can be asked: stdin and stderr are terminals, and it is no CI. */
  asks: boolean
  /** A live table can be drawn on stderr. */
  live: boolean
  /** Whether to colour what goes to stdout, and what goes to stderr. */
  color: Readonly<{ stdout: boolean; stderr: boolean }>
  /** Whether the terminal shows more than ASCII, by its locale and its kind. */
  unicode: boolean
}>

/** Whether the three standard streams are terminals. */
export type Terminals = Readonly<{ stdin: boolean; stdout: boolean; stderr: boolean }>

/** Reads the surroundings. `NO_COLOR` (any value but the empty one) wins over `FORCE_COLOR`, which wins over the terminal. */
export const surroundings = (env: Environment = process.env, terminals: Terminals = ours()): Surroundings => {
  const ci = isSet(env['CI'])
  const dumb = env['TERM'] === 'dumb'
  const color = (terminal: boolean): boolean => {
    if (env['NO_COLOR']) return false
    return isSet(env['FORCE_COLOR']) || (terminal && !dumb)
  }
  return Object.freeze({
    ci,
    asks: !ci && terminals.stdin && terminals.stderr,
    live: !ci && !dumb && terminals.stderr,
    color: Object.freeze({ stdout: color(terminals.stdout), stderr: color(terminals.stderr) }),
    // The console of Linux has few glyphs beyond ASCII, whatever the locale.
    unicode:
      !dumb &&
      env['TERM'] !== 'linux' &&
      /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''),
  })
}

const isSet = (value: string | undefined): boolean => !!value && value !== '0' && value !== 'false'

// Asked of the descriptors: a stream of Node would make a pipe non-blocking, for whoever shares it, too.
const ours = (): Terminals => ({ stdin: isatty(0), stdout: isatty(1), stderr: isatty(2) })
