/**
 * For tests of programs that embed Tenuto: time that is moved, a journal in memory, a runner that follows a script, chance that
 * repeats, faults on demand.
 */

export type { FaultPoint, Faults } from './actors/part.ts'
export { type AuditPlan, auditPlan, auditPositions } from './audit/audit.ts'
export type { Finding } from './audit/finding.ts'
export { auditHome, type HomeLook } from './audit/home.ts'
export { seededRandom } from './ids.ts'
export { memoryJournal } from './journal/memory.ts'
export { type MemoryDisk, memoryDisk } from './journal/memory-disk.ts'
export { memoryReader } from './journal/memory-reader.ts'
export { type FaultInjection, type FaultPlace, faultInjection } from './testing/faults.ts'
export {
  type Script,
  type ScriptedAttempt,
  type ScriptedEnd,
  type ScriptedRunner,
  scriptedRunner,
} from './testing/scripted-runner.ts'
export { type VirtualClock, virtualClock } from './testing/virtual-clock.ts'
