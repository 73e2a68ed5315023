/**
 * A daemon that is asked whatever the document of its API allows, and all that it does not: it answers everything as promised, makes
 * nothing of what it refuses, and keeps a journal that is right.
 */
import { isReading } from '../../src/http/gate.ts'
import { seededRandom } from '../../src/ids.ts'
import { auditHome } from '../../src/testing.ts'
import { type Judge, judge } from '../http/document.ts'
import { CANARY, DONE_PLAN, LAB_PLAN, LAB_SECRETS, type Lab, openLab, type Said } from '../http/lab.ts'
import { type Known, type Made, requestsOf } from './requests.ts'

/** What is found wrong: after which request, and what. */
export type Fault = Readonly<{ at: number; what: string; request: string }>

/** What a fuzz came to. */
export type Fuzzed = Readonly<{
  requests: number
  /** Answers by status and code. */
  answers: Readonly<Record<string, number>>
  /** Routes by how often they were asked and let do something. */
  routes: Readonly<Record<string, Readonly<{ asked: number; done: number }>>>
  plans: number
  faults: readonly Fault[]
}>

const YAML = 'plan: v1\nname: from-yaml\njobs:\n  a: { approve: { prompt: Go on? } }\n'
const FAULTS_MAX = 10
/** So many requests come to one daemon before it is stopped, looked over, and begun anew. */
const LIFE = 2_500

/** Asks so many requests, drawn by the seed. Stops when it has found so many faults. */
export const fuzz = async (requests: number, seed: number, most = FAULTS_MAX): Promise<Fuzzed> => {
  const random = seededRandom(seed)
  const judged = await judge()
  const draw = requestsOf(judged.document, judged.routes, random)
  const answers: Record<string, number> = {}
  const routes: Record<string, { asked: number; done: number }> = {}
  const faults: Fault[] = []
  let plans = 0
  for (let done = 0; done < requests && faults.length < most; done += LIFE) {
    const lab = await openLab()
    const links: string[] = []
    try {
      for (let at = done; at < Math.min(requests, done + LIFE) && faults.length < most; at += 1) {
        const known = await knownOf(lab, links)
        const made = draw(
          known,
          `127.${1 + Math.floor(at / 60_000)}.${Math.floor(at / 250) % 240}.${1 + (at % 250)}`,
        )
        const { said, wrong } = await askOnce(lab, judged, made)
        const code = (said?.json as { error?: { code?: string } } | undefined)?.error?.code ?? ''
        const answer = `${said?.status ?? 'none'} ${code}`.trim()
        answers[answer] = (answers[answer] ?? 0) + 1
        const of = (routes[made.route.name] ??= { asked: 0, done: 0 })
        of.asked += 1
        const url = (said?.json as { url?: unknown } | undefined)?.url
        if (typeof url === 'string') links.push(url.split('/').at(-1) ?? '')
        if (said !== undefined && said.status < 400) of.done += 1
        for (const what of wrong)
          faults.push({ at, what, request: JSON.stringify(made.sent).slice(0, 1_500) })
        // A mode that somebody ordered ends again, and there is a plan of which all can be asked.
        if (at % 50 !== 49) continue
        await lab.runtime.order({ do: 'resume' })
        await lab.runtime.submit(LAB_PLAN, { base: lab.home, secrets: LAB_SECRETS })
        await lab.quiet()
      }
      plans += (await lab.runtime.catalog.plans({ limit: 1_000_000 })).length
      await lab.stop()
      const { findings } = await auditHome(lab.home)
      for (const { kind, what } of findings)
        faults.push({ at: done + LIFE, what: `the audit finds ${kind}: ${what}`, request: '' })
    } finally {
      await lab.stop()
      lab.remove()
    }
  }
  return { requests, answers, routes, plans, faults }
}

/** Asks, and says all that is wrong with the answer and with what came of it. */
const askOnce = async (
  lab: Lab,
  judged: Judge,
  { route, sent }: Made,
): Promise<Readonly<{ said?: Said; wrong: readonly string[] }>> => {
  const before = await lab.digest()
  let said: Said
  try {
    said = await lab.send(sent)
  } catch (error) {
    return { wrong: [`there is no answer: ${String(error)}`] }
  }
  const wrong: string[] = []
  const isOwn = sent.method === route.method && pathFits(route.path, sent.path)
  if (said.text.includes(CANARY) || JSON.stringify(said.headers).includes(CANARY))
    wrong.push('it tells a secret')
  if (said.status === 500) wrong.push(`it answered 500: ${said.text.slice(0, 500)}`)
  if (isOwn) {
    const unlike = judged.wrongAnswer(route.name, said)
    if (unlike !== undefined) wrong.push(unlike)
  } else if (said.status >= 400 && sent.method !== 'HEAD') {
    const error = judged.wrongWith(judged.document.components.schemas['Error'] ?? {}, said.json)
    if (error !== undefined) wrong.push(`${said.status} is no envelope: ${said.text.slice(0, 300)}`)
  }
  if (said.status < 400 && !isReading(sent.method)) await lab.quiet()
  else if ((await lab.quiet()) !== before) wrong.push(`${said.status}, and something was made`)
  return { said, wrong }
}

/** Whether a path that was drawn still is one of its route: a name with a slash in it is another. */
const pathFits = (route: string, sent: string): boolean => {
  const parts = sent.split('?')[0]?.split('/') ?? []
  const own = route.split('/')
  return (
    parts.length === own.length &&
    own.every((part, at) => (part.startsWith('{') ? parts[at] !== '' : part === parts[at]))
  )
}

const cookies = new WeakMap<Lab, string>()

/** What is there to be named. */
const knownOf = async (lab: Lab, links: readonly string[]): Promise<Known> => {
  const { catalog } = lab.runtime
  const plans = await catalog.plans({ limit: 6 })
  const open = await catalog.plans({ limit: 6, name: 'lab', states: ['running', 'paused'] })
  return {
    host: lab.host,
    token: lab.token,
    cookie: cookies.get(lab) ?? (await letIn(lab)),
    plans: [lab.lab, lab.done, ...plans.map(({ id }) => id), ...open.map(({ id }) => id)],
    jobs: [...Object.keys(LAB_PLAN.jobs), 'a'],
    keys: ['done', ...plans.flatMap(({ key }) => key ?? [])],
    links: links.slice(-3),
    submissions: [
      { plan: LAB_PLAN, secrets: LAB_SECRETS },
      { plan: DONE_PLAN },
      { plan: DONE_PLAN, base: '/tmp' },
      { yaml: YAML },
      { yaml: YAML, env: { PATH: '/bin' } },
    ],
  }
}

/** A session of a browser. */
const letIn = async (lab: Lab): Promise<string> => {
  const headers = { ...lab.bearer, 'content-type': 'application/json' }
  const { json } = await lab.send({ method: 'POST', path: '/api/v1/links', headers, body: '{}' })
  const { pathname } = new URL((json as { url: string }).url)
  const entered = await lab.send({ method: 'GET', path: pathname })
  const cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  cookies.set(lab, cookie)
  return cookie
}
