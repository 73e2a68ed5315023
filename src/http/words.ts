/**
 * What to do, in the words of who asks over HTTP: a route in the place of a command. A command that is for the machine of the holder
 * alone stays one.
 */
import { apiHint, type TenutoError } from '../errors.ts'
import { BASE } from './wire.ts'

/** What to do about an error, for whoever asks over HTTP. */
export const hintOverHttp = (error: TenutoError): string => inRoutes(apiHint(error))

/** Commands that name nothing. */
const PLAIN: Readonly<Record<string, string>> = {
  '--help': `GET ${BASE}/openapi.json`,
  version: 'GET /version',
  ls: `GET ${BASE}/plans`,
  tree: `GET ${BASE}/tree`,
  dead: `GET ${BASE}/dead-letters`,
  'daemon resume': `POST ${BASE}/daemon/resume`,
}
const VERBS: ReadonlySet<string> = new Set([
  'cancel',
  'pause',
  'continue',
  'retry',
  'skip',
  'now',
  'approve',
  'reject',
])
const FLAGS: ReadonlySet<string> = new Set(['--failed', '--downstream'])

/** A text with the routes of the commands in it. */
const inRoutes = (text: string): string =>
  text.replace(/`tenuto ([^`]+)`/g, (whole, asked: string) => routeOf(asked.split(' ')) ?? whole)

/** Undefined where no route does that. */
const routeOf = (words: readonly string[]): string | undefined => {
  const plain = PLAIN[words.join(' ')]
  if (plain !== undefined) return `\`${plain}\``
  const [verb = '', ...rest] = words
  const flags = rest.filter((word) => word.startsWith('--'))
  const [ref, ...more] = rest.filter((word) => !flags.includes(word))
  if (ref === undefined || flags.some((flag) => !FLAGS.has(flag))) return undefined
  if (verb === 'dead' && more.length === 1) return `\`POST ${BASE}/dead-letters/${more[0]}/${ref}\``
  if (more.length > 0) return undefined
  if (verb === 'show') return `\`GET ${pathOf(ref)}${ref.includes('/') ? '' : '?jobs=true'}\``
  if (!VERBS.has(verb)) return undefined
  const body = Object.fromEntries(flags.map((flag) => [flag.slice(2), true]))
  return `\`POST ${pathOf(ref)}/${verb}\`${flags.length === 0 ? '' : ` with \`${JSON.stringify(body)}\``}`
}

/** The path of a plan, or of a job of it. */
const pathOf = (ref: string): string => {
  const [plan = '', ...job] = ref.split('/')
  const own = `${BASE}/plans/${encodeURIComponent(plan)}`
  return job.length === 0 ? own : `${own}/jobs/${encodeURIComponent(job.join('/'))}`
}
