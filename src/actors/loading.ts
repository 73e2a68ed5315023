/**
 * Loading: plans and actors that are not in memory. A plan that cannot be loaded is set aside, with the reason, and disturbs nobody
 * else; an operator who has mended what was wrong lets it be tried again.
 */
import { type Address, jobAddress, parseAddress, planAddress } from '../address.ts'
import { isTenutoError, TenutoError } from '../errors.ts'
import { EMPTY_BATCH, type Journal } from '../journal/journal.ts'
import { isStoreAway } from '../journal/restarting.ts'
import type { Migration } from '../machines/migrations.ts'
import { planAdmits } from '../machines/plan.ts'
import { isJobEnd, isPlanEnd } from '../states.ts'
import { wordsOf } from '../thrown.ts'
import { deadLetter } from './dead-letters.ts'
import { type Entry, loadPlan, machineOf, planEntry, type Resident, restoreEntry } from './directory.ts'
import { hint, type Message, storedMessage } from './mailbox.ts'
import { forgetPlan, type Memory } from './memory.ts'
import { planState } from './step.ts'
import { consume, type Note, stepRow } from './transaction.ts'

/** What loading needs from outside. */
export type LoadingPorts = Readonly<{
  journal: Journal
  now: () => number
  log: Readonly<Record<'error', (fields: object, message: string) => void>>
  note: (note: Note) => void
  /** What leads on from rows of older machines. */
  migrations: readonly Migration[]
}>

/** The loading half of a host. */
export type Loading = Readonly<{
  /** Takes the messages of a plan and its jobs out of their mailboxes. */
  waitingFor: (plan: string) => Map<Address, readonly Message[]>
  /**
   * Loads a plan, lets its actors ask again, and hands on its mail. False: there is no such plan. `reported`: what recovery finds
   * goes on record.
   */
  bringIn: (plan: string, reported: boolean) => Promise<boolean>
  /** Reads whatever messages wait for. */
  readAbsent: () => Promise<void>
}>

/** Whether an error says something about one plan's rows, and not about the whole store or this process. */
const isOfThePlan = (error: unknown): boolean => {
  if (isTenutoError(error, 'STORE_CORRUPT')) return 'address' in error.fields
  return (
    !isStoreAway(error) &&
    !(['STORE_BROKEN', 'FENCED', 'STOPPED'] as const).some((code) => isTenutoError(error, code))
  )
}

/** A plan with which the process ended this often in a row is set aside. */
const LOADINGS_MAX = 3

/** Tells the slots what the jobs of a plan hold and wait for. */
export const tellSlots = ({ permits, boxes }: Memory, of: Resident): void => {
  for (const { name, state } of of.rows) {
    if (isJobEnd(state) || state === 'held') continue
    // A slot that was granted and has not been taken yet is not granted again.
    const granted = state === 'queued' && boxes.hasType(jobAddress(of.id, name), 'slot.granted')
    permits.job(of.id, name, granted ? 'running' : state)
  }
  const own = planEntry(of)
  if (own) permits.plan(of.id, { maxParallel: of.definition.maxParallel, admits: planAdmits(planState(own)) })
}

/** Loads into a memory. */
export const loading = (memory: Memory, { journal, now, log, note, migrations }: LoadingPorts): Loading => {
  const { system, boxes, residents, absent, aside, recovering } = memory

  const waitingFor = (plan: string): Map<Address, readonly Message[]> => {
    const waiting = [...boxes.addresses()].filter((address) => parseAddress(address).plan === plan)
    return new Map(waiting.map((address) => [address, boxes.clear(address)]))
  }
  const bury = (address: Address, event: object): void => {
    memory.head.dead += 1
    const why = 'there is no such plan'
    memory.open.dead.push(deadLetter(memory.head.dead, address, event, why, now()))
  }
  /** Answers those who ask something of a plan that cannot take it (null: there is none); what is mail stays mail. */
  const settle = (plan: string, state: string | null): void => {
    for (const [address, messages] of waitingFor(plan)) {
      for (const { offer, event } of messages) {
        if (state === null && offer?.unheard) bury(address, event)
        offer?.settle({ taken: false, position: memory.head.position, state })
      }
      boxes.letGo(address)
    }
  }
  /** What is addressed to a plan that is not there reaches nobody, ever. */
  const buryMail = async (plan: string): Promise<void> => {
    for (const { id, address, event } of await journal.mail(plan)) {
      memory.open.taken.push(id)
      bury(address, JSON.parse(event) as object)
    }
  }
  /** Nothing of the plan stays in memory; what is in its mail, and in its attempts' directories, waits there. */
  const setAside = (plan: string, error: unknown): void => {
    const why = wordsOf(error)
    forgetPlan(memory, plan)
    if (!aside.has(plan)) {
      log.error({ plan, error: why }, 'the plan cannot be loaded and is quarantined; all others go on')
      note({ type: 'quarantined', plan, job: null, state: 'quarantined', reason: 'fault', detail: { why } })
    }
    aside.set(plan, why)
    memory.open.aside.push({ plan, why, at: now() })
    settle(plan, 'quarantined')
  }
  /** That an actor was brought to this machine is a step of its life. */
  const noteMigration = (entry: Entry): void => {
    const { version } = machineOf(entry.kind)
    if (entry.writtenBy === undefined || entry.writtenBy === version) return
    const event = { type: 'migrated', at: now(), from: entry.writtenBy, to: version }
    entry.seq += 1
    memory.head.position += 1
    memory.open.steps.push(stepRow(entry, event, entry.value, memory.head.position))
    memory.open.actors.add(entry)
    memory.open.touched.add(entry.resident)
  }
  const enter = (of: Resident, reported: boolean): void => {
    residents.set(of.id, of)
    tellSlots(memory, of)
    for (const [address, entry] of of.actors) {
      noteMigration(entry)
      boxes.put(address, hint('recovered'))
      const inFlight = entry.kind === 'job' && (entry.value === 'running' || entry.value === 'stopping')
      if (reported && inFlight) recovering.set(address, of.rows[entry.index]?.attempt ?? 0)
    }
  }
  /** What recovery has to find out, and what it left as it was. */
  const noteRecovery = (of: Resident): void => {
    const own = planEntry(of)
    if (!own || isPlanEnd(own.value)) return
    const open = [...of.actors.keys()].filter((address) => recovering.has(address)).length
    note({
      type: 'recovered',
      plan: of.id,
      job: null,
      state: own.value,
      reason: 'unchanged',
      detail: { jobs: of.rows.length, inFlight: open, unchanged: of.rows.length - open },
    })
  }
  const bringIn = async (plan: string, reported: boolean): Promise<boolean> => {
    try {
      const known = aside.get(plan) ?? (await journal.aside(plan))?.why
      if (known === undefined) return await load(plan, reported)
      aside.set(plan, known)
      await answerAside(plan)
    } catch (error) {
      if (!isOfThePlan(error)) throw error
      setAside(plan, error)
    }
    return true
  }
  /** A plan that was set aside is loaded again when an operator asks for it, and for nobody else. */
  const answerAside = async (plan: string): Promise<void> => {
    const own = planAddress(plan)
    const asked = boxes.clear(own)
    const [first, ...rest] = asked.filter(({ event }) => event.type === 'continue.requested')
    for (const message of [...asked.filter(({ event }) => event.type !== 'continue.requested'), ...rest])
      boxes.put(own, message)
    if (!first) return settle(plan, 'quarantined')
    try {
      if (!(await load(plan, true))) return settle(plan, null)
    } catch (error) {
      if (!isOfThePlan(error)) throw error
      setAside(plan, error)
      first.offer?.fail(new TenutoError('PLAN_DAMAGED', { plan, why: aside.get(plan) }, error))
      return
    }
    aside.delete(plan)
    memory.open.aside.push({ plan, why: null, at: now() })
    note({ type: 'restored', plan, job: null, state: 'running', reason: 'operator' })
    const of = residents.get(plan)
    const state = of && planEntry(of)?.value
    // Quarantined by a fault of its own besides, it is let out of that too.
    if (state === 'quarantined') boxes.putFirst(own, first)
    else
      consume(memory.open, own, first, { taken: true, position: memory.head.position, state: state ?? null })
  }
  /** A plan that ends the process while it is taken up is not tried for ever. */
  const countLoading = async (plan: string): Promise<void> => {
    const times = await journal.loading(plan)
    if (times >= LOADINGS_MAX) {
      memory.open.loading.push({ plan, times: 0 })
      throw new TenutoError('INTERNAL', {
        what: `the process ended ${times} times while it took this plan up`,
      })
    }
    try {
      await journal.commit({ ...EMPTY_BATCH, loading: [{ plan, times: times + 1 }] })
    } catch (error) {
      // One that is not counted is one more try; nothing else depends on it.
      if (!isStoreAway(error)) throw error
    }
  }
  const load = async (plan: string, reported: boolean): Promise<boolean> => {
    // What is asked of a plan that is not there, or no longer, leaves nothing on record of it.
    const counted = !journal.opening.clean && reported && (await journal.plan(plan)) !== undefined
    if (counted) await countLoading(plan)
    // After a clean stop nothing is counted, and what was counted before it is no longer in a row.
    const isOver = counted || (reported && (await journal.loading(plan)) > 0)
    const loaded = await loadPlan(journal, system, plan, migrations)
    if (!loaded) {
      await buryMail(plan)
      return false
    }
    const { resident: of, mail } = loaded
    if (counted) for (const { id } of mail) memory.careful.add(id)
    const posted = mail.map((row) => ({ address: row.address, message: storedMessage(row) }))
    const waiting = waitingFor(plan)
    enter(of, reported)
    for (const { address, message } of posted) boxes.put(address, message)
    // What is in the mail was just read from there.
    for (const [address, messages] of waiting) {
      for (const message of messages) if (message.id === null) boxes.put(address, message)
    }
    if (reported) noteRecovery(of)
    memory.open.touched.add(of)
    if (isOver) memory.open.loading.push({ plan, times: 0 })
    return true
  }
  const readActor = async (address: Address, of: Resident): Promise<void> => {
    try {
      const row = await journal.actor(address)
      if (!row) return void of.fresh.add(address)
      const entry = restoreEntry(system, of, row, migrations)
      of.actors.set(address, entry)
      noteMigration(entry)
    } catch (error) {
      if (!isOfThePlan(error)) throw error
      setAside(of.id, error)
    }
  }

  return {
    waitingFor,
    bringIn,
    readAbsent: async () => {
      for (const address of [...absent]) {
        absent.delete(address)
        const { plan } = parseAddress(address)
        try {
          const of = residents.get(plan)
          if (of) await readActor(address, of)
          else if (!(await bringIn(plan, true))) settle(plan, null)
          boxes.letGo(address)
        } catch (error) {
          log.error({ address, error: String(error) }, 'the store cannot be read; messages wait')
          for (const { offer } of boxes.clear(address)) offer?.fail(error)
        }
      }
    },
  }
}
