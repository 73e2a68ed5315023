/**
 * Taking plans in: the same plan under the same key is one plan, and whoever submitted it can wait for its end.
 */
import { rmSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { Handler } from '../actors/calls.ts'
import type { Host } from '../actors/contract.ts'
import { planAddress } from '../address.ts'
import type { Alive } from '../alive.ts'
import type { Catalog } from '../catalog.ts'
import type { Clock } from '../clock.ts'
import type { Asker } from '../command.ts'
import { jobEnvironment, namedVariables } from '../config.ts'
import { type Definition, definitionHash } from '../definition.ts'
import { TenutoError } from '../errors.ts'
import type { Feed } from '../feed.ts'
import { makeFolders } from '../home-place.ts'
import { planId, type Random } from '../ids.ts'
import type { Journal, PlanHead } from '../journal/journal.ts'
import { isStoreAway } from '../journal/restarting.ts'
import type { JsonObject } from '../json.ts'
import { checkDefinition } from '../plans/define-plan.ts'
import { checkNotInClear, chooseSecrets, type SecretValues, secretPlaces, type Vault } from '../secrets.ts'
import { isPlanEnd } from '../states.ts'
import { hasNoRoom, wordsOf } from '../thrown.ts'
import type { PlanHandle, Runtime, Settled, SubmitOptions } from './contract.ts'
import { checkSubmitOptions } from './options.ts'

/** What submitting stands on. */
export type SubmittingPorts = Readonly<{
  /** Where folders of plans that were submitted without one are made. */
  work: string
  journal: Journal
  host: Pick<Host, 'submit' | 'takeUp' | 'residents'>
  reading: Catalog
  steps: Feed
  staying: Alive
  clock: Clock
  random: Random
  handlers: Readonly<Record<string, Handler>>
  /** Whether the id is in use by something that is about to be removed. */
  isUsed: (plan: string) => boolean
  /** @throws {TenutoError} `DRAINING` while no plan is taken in. */
  refuseNew: () => void
  command: Runtime['command']
  vault: Pick<Vault, 'keep' | 'drop' | 'checkNoToken'>
  /** Who asks, and why, without the secrets of any plan. */
  asker: (asked: Asker) => Asker
}>

/** The plans of a runtime, to be submitted and waited for. */
export type Submitting = Readonly<{
  submit: Runtime['submit']
  handle: (plan: string, replayed: boolean) => PlanHandle
  /** Whether somebody in this process waits for the end of this plan, or is about to read it. */
  isAwaited: (plan: string) => boolean
}>

/** Takes plans in. */
export const submitting = (ports: SubmittingPorts): Submitting => {
  const {
    work,
    journal,
    host,
    reading,
    steps,
    staying,
    clock,
    random,
    handlers,
    isUsed,
    refuseNew,
    command,
    vault,
    asker,
  } = ports
  const awaited = new Map<string, number>()
  const keyed = new Map<string, Promise<PlanHandle>>()
  const admit = async (given: Definition, options: SubmitOptions): Promise<PlanHandle> => {
    const definition = checkDefinition(given)
    checkHandlers(definition, handlers)
    const hash = definitionHash(definition)
    if (options.key !== undefined) {
      const known = await journal.planByKey(options.key)
      if (known) return replay(known, hash, options.key)
    }
    const secrets = secretsFor(definition, options)
    let id = planId(definition.name, random)
    while ((await journal.plan(id)) !== undefined || host.residents.has(id) || isUsed(id))
      id = planId(definition.name, random)
    const own = options.base === null ? join(work, id) : undefined
    const base = own ?? options.base ?? process.cwd()
    const environment = withoutSecrets(options.environment ?? jobEnvironment(), secrets)
    const row = {
      id,
      name: definition.name,
      key: options.key ?? null,
      hash,
      inputs: '{}',
      environment: JSON.stringify(environment),
      base: isAbsolute(base) ? base : resolve(base),
      submittedAt: clock.now(),
    }
    refuseNew()
    const { by, why } = options
    const asked = { ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }
    const hasSecrets = Object.keys(secrets).length > 0
    const { name, key: called, base: folder } = row
    const stored = { ...(definition as unknown as JsonObject), name, environment, key: called, base: folder }
    vault.checkNoToken(stored)
    if (hasSecrets) {
      checkNotInClear(secrets, { ...stored, ...asked })
      vault.keep(id, secrets)
    }
    let mayBeThere = false
    try {
      if (own !== undefined) makeFolder(own)
      // What is of other plans has no place in it, either.
      const submission = { row, definition, asked: asker(asked) }
      mayBeThere = true
      await host.submit(submission)
    } catch (error) {
      // What else fails may have been committed all the same, and its jobs need their secrets and their folder.
      if (mayBeThere && !isStoreAway(error)) throw error
      if (hasSecrets) vault.drop(id)
      if (own !== undefined) rmSync(own, { recursive: true, force: true })
      throw error
    }
    return handle(id, false)
  }
  const replay = async (known: PlanHead, hash: string, key: string): Promise<PlanHandle> => {
    if (known.hash !== hash) throw new TenutoError('KEY_CONFLICT', { key, plan: known.id })
    // Who submits it wants it to go on, also where nothing was taken up at the start.
    if (!isPlanEnd(known.state) && !host.residents.has(known.id)) await host.takeUp(known.id)
    return handle(known.id, true)
  }
  const submit = async (definition: Definition, options: SubmitOptions = {}): Promise<PlanHandle> => {
    checkSubmitOptions(options)
    const { key } = options
    if (key === undefined) return staying.until(admit(definition, options))
    // Two submits under one key take turns, so that the second finds what the first made.
    const turn = (keyed.get(key) ?? Promise.resolve()).then(
      () => admit(definition, options),
      () => admit(definition, options),
    )
    keyed.set(key, turn)
    const leave = (): void => {
      if (keyed.get(key) === turn) keyed.delete(key)
    }
    turn.then(leave, leave)
    return staying.until(turn)
  }

  const settled = async (id: string): Promise<Settled> => {
    const own = planAddress(id)
    const end = await steps.until(
      ({ address, to }) => address === own && isPlanEnd(to),
      async () => {
        const { state, reason } = await reading.plan(id)
        return isPlanEnd(state) ? { state, reason } : undefined
      },
    )
    if (!end) throw new TenutoError('STOPPED')
    return { ...end, jobs: Object.fromEntries((await reading.jobs(id)).map((job) => [job.name, job])) }
  }
  const handle = (id: string, replayed: boolean): PlanHandle => ({
    id,
    replayed,
    settled: () => {
      awaited.set(id, (awaited.get(id) ?? 0) + 1)
      const leave = (): void => {
        const others = (awaited.get(id) ?? 1) - 1
        if (others > 0) awaited.set(id, others)
        else awaited.delete(id)
      }
      return staying.until(settled(id).finally(leave))
    },
    cancel: async (by) => {
      await command(id, null, { do: 'cancel' }, by)
    },
  })

  return { submit, handle, isAwaited: (plan) => awaited.has(plan) }
}

/**
 * The values of what a plan names, and of nothing else.
 * @throws {TenutoError} `USAGE` when there are others; `SECRET_MISSING`, `SECRET_UNUSABLE`.
 */
const secretsFor = (definition: Definition, { secrets }: SubmitOptions): SecretValues => {
  const places = secretPlaces(definition)
  const unknown = Object.keys(secrets ?? {}).find((name) => !places.has(name))
  if (unknown !== undefined)
    throw new TenutoError('USAGE', {
      what: `secrets has ${JSON.stringify(unknown)}, which the plan names nowhere`,
    })
  return places.size === 0 ? {} : chooseSecrets(definition, secrets ?? namedVariables(places.keys()))
}

/** What a plan calls a secret is stored as none of its variables, and reaches only the jobs that name it. */
const withoutSecrets = (
  environment: Readonly<Record<string, string>>,
  secrets: SecretValues,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !Object.hasOwn(secrets, name)))

/** @throws {TenutoError} `UNKNOWN_HANDLER` when a job calls a handler that is not there. */
export const checkHandlers = (definition: Definition, handlers: Readonly<Record<string, Handler>>): void => {
  for (const [job, { kind, call = '' }] of Object.entries(definition.jobs)) {
    if (kind === 'call' && !Object.hasOwn(handlers, call))
      throw new TenutoError('UNKNOWN_HANDLER', { job, handler: call })
  }
}

const makeFolder = (path: string): void => {
  try {
    makeFolders(dirname(dirname(path)), path)
  } catch (error) {
    throw new TenutoError(
      hasNoRoom(error) ? 'STORE_FULL' : 'FILE_UNWRITABLE',
      { path, why: wordsOf(error) },
      error,
    )
  }
}
