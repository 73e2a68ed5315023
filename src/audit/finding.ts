/**
 * What the auditor finds: what kind of thing it is, where, and what to do about it. A closed list, so that each kind is named once
 * and none comes without a remedy.
 */
import { type Address, parseAddress } from '../address.ts'

/**
 * `note`: nothing is wrong, and somebody should know. `fault`: what must hold does not. `damage`: the file is not as it was written.
 */
export type Grade = 'note' | 'fault' | 'damage'

/** Where it is; only what applies. */
export type FindingPlace = Readonly<{
  plan?: string
  job?: string
  attempt?: number
  /** A position in the journal. */
  position?: number
  pid?: number
  path?: string
}>

/** One thing that was found. */
export type Finding = Readonly<{
  kind: FindingKind
  grade: Grade
  place: FindingPlace
  what: string
  remedy: string
}>

type Kind = Readonly<{ grade: Grade; means: string; remedy: string }>

const defect = (means: string): Kind => ({
  grade: 'fault',
  means,
  remedy: 'keep a copy of the home and report it: a defect of tenuto, or somebody edited the home',
})
const damage = (means: string): Kind => ({
  grade: 'damage',
  means,
  remedy: 'stop the holder, keep a copy of the home, and restore a backup of the journal',
})
const stranded = (means: string): Kind => ({
  grade: 'fault',
  means,
  remedy: '`tenuto resume`, then look again; what still stands here is to be reported',
})
const fault = (means: string, remedy: string): Kind => ({ grade: 'fault', means, remedy })
const note = (means: string, remedy: string): Kind => ({ grade: 'note', means, remedy })

/** Every kind of finding: the history, the rows, what is stranded, attempt folders, processes, the present while nobody holds the home. */
export const FINDINGS = {
  'early-start': defect('an attempt began before a need of its job was met'),
  'attempt-order': defect('an attempt began in a wrong state, or with a number that does not follow'),
  'two-attempts': defect('an attempt began while another of the same job was open'),
  'too-many-attempts': defect('more attempts were open at once than `maxParallel` allows'),
  'end-left': defect('a job left its end without being opened again by a retry'),
  'generation-gap': defect('a job was opened again with a generation that does not follow'),
  'needless-skip': defect('a job was skipped for a need, and none had failed'),
  'end-told-twice': defect('a plan took the end of a job twice'),
  'end-told-wrong': defect('a plan was told another end of a job than the job had'),
  'ended-over-actor': defect('a plan ended a job that had an actor which had not ended'),
  'plan-ended-early': defect('a plan ended before all its jobs had, or without hearing of one'),
  'plan-end-wrong': defect('a plan ended otherwise than its jobs say'),
  'seq-gap': defect('the steps of an actor do not follow each other'),
  'position-gap': defect(
    'the positions of the journal do not follow each other, beyond what retention has removed',
  ),
  'unknown-plan': defect('a row belongs to a plan that is not there'),
  'row-differs': defect('a row says something else than the steps, or than the definition'),
  'rows-left': defect('a plan has ended, and rows or messages of it are still open'),
  'mail-taken': defect('a message was taken, and is still to be delivered'),
  'definition-differs': damage('a definition is not the one it was hashed with'),
  'row-damaged': damage('a row is not what was written: its crc does not fit, or it cannot be read'),
  'rows-missing': damage('a table has not as many rows, or not those, that the file says were written'),
  'file-damaged': damage('the structure of the file is damaged; nothing else was looked at'),
  'end-untold': stranded('a job has ended, and no message will tell its plan'),
  'never-released': stranded('everything a job needs has ended, and nothing will release it'),
  'never-settled': stranded('all jobs of a plan have ended, and nothing will end it'),
  'exit-missing': defect('the journal took the end of an attempt that has no exit record'),
  'exit-differs': defect('the exit record of an attempt says something else than the journal'),
  'exit-lost': note(
    'an exit record is gone or cut off, and the machine was booted since, as after a power cut, or a backup restored',
    'nothing to do: the journal had taken the end in, and it stands',
  ),
  'exit-unseen': note(
    'the journal took the end of an attempt from a runner that died before a full disk took the record; the next one saw no end',
    'nothing to do: the end that the journal has is the one that was seen',
  ),
  'exit-unreadable': fault(
    'an exit record was cut off or written over',
    'nothing reads it any more unless a backup of the journal is restored; keep it for a report',
  ),
  'started-against-claim': defect('an attempt has a log, and its claim kept it from starting'),
  'wrong-key': fault(
    'the folder of an attempt holds the records of another',
    'it was copied or moved: move it back, or remove it',
  ),
  'begun-differs': defect(
    'an attempt is on record as begun, and was not open then, or is said never to have started',
  ),
  'folder-gone': fault(
    'an attempt is open and had begun, and its folder is gone',
    '`tenuto resume` never starts it again: it is `lost` once no process of it lives, and `tenuto retry` tries its job again',
  ),
  'orphan-folder': fault(
    'a folder belongs to no attempt that the journal knows',
    'remove it; after a backup of the journal was restored, keep it for its log',
  ),
  'attempt-beyond': note(
    'an attempt began after what the journal knows, as after a backup was restored',
    '`tenuto resume` takes in what became of it; removing it would let its job run again',
  ),
  'folders-removed': note(
    'the attempt folders of an ended plan are gone',
    'nothing to do; the logs of these attempts are gone',
  ),
  'stray-process': fault(
    'a process with the marker of this home belongs to no attempt, or to one of an ended plan',
    'end it: kill the pid, and -KILL it if it stays',
  ),
  'left-behind': note(
    'a process outlived its attempt, and its plan still runs',
    'nothing to do; it is ended when its plan ends',
  ),
  'waits-to-be-taken-in': note(
    'an attempt has ended while nobody held the home',
    '`tenuto resume` takes it in',
  ),
  'runs-on': note(
    'an attempt runs while nobody holds the home',
    '`tenuto resume` goes on with it, `tenuto cancel` stops it',
  ),
  'end-unseen': note('an attempt is open, and no process of it lives', '`tenuto resume` rules on it'),
} as const satisfies Readonly<Record<string, Kind>>

/** The name of a kind of finding. */
export type FindingKind = keyof typeof FINDINGS

/** Makes a finding; grade and remedy come with its kind. */
export const finding = (kind: FindingKind, place: FindingPlace, what: string): Finding => {
  const { grade, remedy } = FINDINGS[kind]
  return { kind, grade, place, what, remedy }
}

/** The plan, and the job if there is one, that an address names; nothing of a text that is no address. */
export const placeOf = (address: string): FindingPlace => {
  try {
    const place = parseAddress(address as Address)
    return place.kind === 'plan' || place.job === null
      ? { plan: place.plan }
      : { plan: place.plan, job: place.job }
  } catch {
    return {}
  }
}

/** Where a finding is, as a person names it: `position 12, p-abc234/build #2`. */
export const placeInWords = ({ plan, job, attempt, position, pid, path }: FindingPlace): string => {
  const ref = plan === undefined ? [] : [`${plan}${job === undefined ? '' : `/${job}`}`]
  const parts = [
    ...(position === undefined ? [] : [`position ${position}`]),
    ...ref.map((each) => (attempt === undefined ? each : `${each} #${attempt}`)),
    ...(pid === undefined ? [] : [`pid ${pid}`]),
    ...(path === undefined ? [] : [path]),
  ]
  return parts.join(', ')
}
