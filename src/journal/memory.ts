/**
 * The journal in memory, for tests and simulation. A disk survives the journal opened on it: a crash is to drop the journal, and
 * to open the disk again is to boot. It refuses whatever the journal on a file refuses.
 */
import { parseAddress } from '../address.ts'
import { TenutoError } from '../errors.ts'
import { isPlanEnd } from '../states.ts'
import { headAfter } from './batch.ts'
import type { Batch, Boot, Journal } from './journal.ts'
import type { MemoryDisk, Tables } from './memory-disk.ts'
import { memoryPruning } from './memory-pruning.ts'
import { memoryReader } from './memory-reader.ts'

/** A boot of which nobody wants to know more. */
const SOME_BOOT: Boot = { bootId: 'memory', pid: 0, build: 'test', at: 0 }

/** Boots on a disk: the journal stands at its last commit, and every journal opened on it before is fenced. */
export const memoryJournal = async (disk: MemoryDisk, boot: Boot = SOME_BOOT): Promise<Journal> => {
  const { tables, faults } = disk
  const epoch = tables.epoch + 1
  const opening = Object.freeze({
    epoch,
    position: tables.position,
    mail: tables.mailId,
    dead: tables.deadId,
    clean: tables.clean,
    home: tables.home,
    bootedSince: machineBootedSince(tables.boots, boot.bootId),
  })
  tables.epoch = epoch
  tables.clean = false
  tables.boots.push(Object.freeze({ ...boot }))
  let head = { position: opening.position, mail: opening.mail, dead: opening.dead }
  const reader = memoryReader(disk)
  let open = true

  const within = (): void => {
    if (!open) throw new TenutoError('STOPPED')
    if (tables.epoch !== epoch) throw ended(epoch)
  }
  const hasEnded = (plan: string): boolean => {
    const actor = tables.actors.get(plan)?.get(`plan:${plan}`)
    const isSound = actor !== undefined && !faults.damaged?.has(actor.address)
    return tables.plans.has(plan) && isSound && isPlanEnd(actor.state) && !tables.aside.has(plan)
  }
  return {
    ...reader,
    opening,
    pruning: memoryPruning(tables, within, hasEnded),
    displaced: () => null,
    salvage: () => null,
    head: async () => {
      within()
      return { position: tables.position, mail: tables.mailId, dead: tables.deadId }
    },
    commit: async (batch) => {
      await faults.beforeCommit?.(batch)
      if (!open) throw new TenutoError('STOPPED')
      const next = headAfter(head, batch)
      if (tables.epoch !== epoch) throw ended(epoch)
      admit(tables, batch)
      apply(tables, batch)
      tables.position = next.position
      tables.mailId = next.mail
      tables.deadId = next.dead
      head = next
      await faults.afterCommit?.(batch)
    },
    stop: async (clean) => {
      if (open && clean && tables.epoch === epoch) tables.clean = true
      open = false
      await reader.close()
    },
    close: async () => {
      open = false
      await reader.close()
    },
  }
}

const machineBootedSince = (before: readonly Boot[], bootId: string): number | null => {
  const other = before.findLastIndex((each) => each.bootId !== bootId)
  return other === -1 ? null : (before[other + 1]?.at ?? Number.POSITIVE_INFINITY)
}

const ended = (epoch: number): TenutoError => fenced(`epoch ${epoch} has ended`)

const fenced = (what: string): TenutoError => new TenutoError('FENCED', { what })

/** Refuses what the constraints of the tables forbid; nothing has been written yet. */
const admit = (tables: Tables, batch: Batch): void => {
  const ids = new Set<string>()
  const keys = new Set<string>()
  for (const { plan, revision } of batch.plans) {
    if (tables.plans.has(plan.id) || ids.has(plan.id)) throw fenced(`plan ${plan.id} exists`)
    ids.add(plan.id)
    if (revision.plan !== plan.id) throw fenced(`a revision of ${revision.plan} comes with plan ${plan.id}`)
    if (plan.key === null) continue
    if (tables.keys.has(plan.key) || keys.has(plan.key)) throw fenced(`key ${plan.key} exists`)
    keys.add(plan.key)
  }
  for (const { row, was } of batch.actors) {
    const seq = tables.actors.get(row.plan)?.get(row.address)?.seq ?? 0
    if (seq !== was) throw fenced(`${row.address} is at seq ${seq}, not ${was}`)
  }
  const added = new Set(batch.mail.added.map(({ id }) => id))
  const gone = new Set<number>()
  for (const id of batch.mail.failed) {
    if (!tables.mail.has(id) && !added.has(id)) throw fenced(`mail ${id} is not there`)
  }
  for (const id of batch.mail.taken) {
    if (gone.has(id) || !(tables.mail.has(id) || added.has(id))) throw fenced(`mail ${id} is not there`)
    gone.add(id)
  }
  for (const id of batch.raised)
    if (!tables.dead.some((letter) => letter.id === id)) throw fenced(`dead letter ${id} is not there`)
}

/** Writes an admitted batch. Cannot fail; rows are copied and frozen, so that nobody holds a piece of the disk. */
const apply = (tables: Tables, batch: Batch): void => {
  for (const { plan, revision } of batch.plans) {
    tables.plans.set(plan.id, keep(plan))
    if (plan.key !== null) tables.keys.set(plan.key, plan.id)
    tables.revisions.set(plan.id, keep(revision))
  }
  for (const row of batch.steps) {
    const step = keep(row)
    tables.steps.push(step)
    listIn(tables.stepsOfPlan, parseAddress(step.address).plan).push(step)
    listIn(tables.stepsOfActor, step.address).push(step)
  }
  for (const { row } of batch.actors) mapIn(tables.actors, row.plan).set(row.address, keep(row))
  for (const row of batch.jobs) mapIn(tables.jobs, row.plan).set(row.name, keep(row))
  for (const { plan, name, outputs } of batch.outputs) {
    if (outputs === null) tables.outputs.get(plan)?.delete(name)
    else mapIn(tables.outputs, plan).set(name, outputs)
  }
  for (const row of batch.mail.added) tables.mail.set(row.id, keep(row))
  for (const id of batch.mail.failed) {
    const row = tables.mail.get(id)
    if (row) tables.mail.set(id, keep({ ...row, deliveries: row.deliveries + 1 }))
  }
  for (const id of batch.mail.taken) tables.mail.delete(id)
  for (const row of batch.dead) tables.dead.push(keep(row))
  for (const id of batch.raised)
    tables.dead.splice(
      tables.dead.findIndex((letter) => letter.id === id),
      1,
    )
  for (const { plan, why, at } of batch.aside) {
    if (why === null) tables.aside.delete(plan)
    else tables.aside.set(plan, keep({ why, at }))
  }
  for (const { plan, times } of batch.loading) {
    if (times === 0) tables.loading.delete(plan)
    else tables.loading.set(plan, times)
  }
}

const keep = <R extends object>(row: R): R => Object.freeze({ ...row })

const listIn = <K, V>(lists: Map<K, V[]>, key: K): V[] => {
  let list = lists.get(key)
  if (!list) lists.set(key, (list = []))
  return list
}

const mapIn = <K, L, V>(maps: Map<K, Map<L, V>>, key: K): Map<L, V> => {
  let map = maps.get(key)
  if (!map) maps.set(key, (map = new Map()))
  return map
}
