/**
 * Every error a user or a program can meet: code, sentence, remedy, exit code and HTTP status, in one table. The manual's list is
 * generated from it.
 */

type Fields = Readonly<Record<string, unknown>>

type Entry = Readonly<{
  /** What is wrong; `{name}` is replaced by the field of that name. */
  message: string
  /** What to do. */
  hint: string
  /** The same for who asks over HTTP, where that is more than a route for each command. */
  api?: string
  exit: number
  http: number
}>

/** The table. A code is stable for ever; its wording is not. */
export const ERRORS = {
  USAGE: {
    message: '{what}',
    hint: 'see `tenuto --help`',
    api: 'what is taken says `GET /api/v1/openapi.json`, and as a page `GET /api/v1/openapi.html`',
    exit: 2,
    http: 400,
  },
  NOT_YET: { message: '{what} is not in this version', hint: '{remedy}', exit: 2, http: 501 },
  FILE_MISSING: { message: 'there is no file {path}', hint: 'check the path', exit: 2, http: 400 },
  FILE_IS_FOLDER: { message: '{path} is a folder', hint: 'name a file in it', exit: 2, http: 400 },
  FILE_SPECIAL: {
    message: '{path} is {what}, and no file',
    hint: 'write what comes from there to a file, and name that',
    exit: 2,
    http: 400,
  },
  FILE_UNREADABLE: {
    message: '{path} cannot be read: {why}',
    hint: 'check its permissions',
    exit: 2,
    http: 400,
  },
  FILE_TOO_BIG: {
    message: '{path} has {bytes} bytes; a plan file may have {limit}',
    hint: 'split the plan',
    exit: 2,
    http: 413,
  },
  OUTPUT_UNWRITTEN: {
    message: 'the answer could not be written to stdout: {why}',
    hint: 'write it to where there is room, and ask again; nothing else went wrong',
    exit: 2,
    http: 500,
  },
  FILE_EXISTS: {
    message: '{path} is there already',
    hint: 'name a file that is not there; nothing was written',
    exit: 2,
    http: 409,
  },
  FILE_UNWRITABLE: {
    message: '{path} cannot be written: {why}',
    hint: 'name a file in a folder that is there and that you may write to; nothing was written',
    exit: 2,
    http: 400,
  },
  JOURNAL_MISSING: {
    message: 'there is no journal {path}',
    hint: 'name the home that has one with `--home DIR`; the first plan makes it',
    exit: 2,
    http: 400,
  },
  PLAN_INVALID: {
    message: 'the plan has {errors_in_words}: {first}',
    hint: 'mend the places named and try again; nothing was stored',
    exit: 3,
    http: 422,
  },
  SECRET_MISSING: {
    message: 'no value was given for the secret {name}, which {place} names{more}',
    hint: 'set the variable of that name and try again. Nothing was stored',
    api: 'give its value under `secrets`, beside the plan. Nothing was stored',
    exit: 3,
    http: 422,
  },
  SECRET_UNUSABLE: {
    message: 'the value of the secret {name}, which {place} names, {why}',
    hint: 'give it another value, or, if it is none to hide, name it under `env`. Nothing was stored',
    exit: 3,
    http: 422,
  },
  SECRET_IN_CLEAR: {
    message: 'the value of the secret {name} stands in {place}, which is stored in clear',
    hint: 'leave it out there, and let the jobs that need it name it under `secrets`. Nothing was stored',
    exit: 3,
    http: 422,
  },
  TOKEN_IN_CLEAR: {
    message: 'the token of the home stands in {place}, which is stored in clear',
    hint: 'leave it out there: whoever reads it may ask everything of the home. Nothing was stored',
    exit: 3,
    http: 422,
  },
  SECRETS_GONE: {
    message:
      'the home has no value of the secrets {names} of {plan} any more; `tenuto secret set {plan}` gives it',
    hint: 'set the variables, and give them; what failed for want of them: `tenuto retry {plan} --failed`',
    api: 'give them: `POST /api/v1/plans/{plan}/secrets`; what failed for want of them: `tenuto retry {plan} --failed`',
    exit: 7,
    http: 409,
  },
  LOG_WITHHELD: {
    message:
      'the log of attempt {attempt} of {plan}/{job} is older than the loss of secrets of its plan, so that they cannot be masked in it',
    hint: 'as it was written, secrets included, it is {path}; logs of later attempts are shown',
    exit: 7,
    http: 409,
  },
  REF_NOT_FOUND: {
    message: 'nothing here is called {ref}',
    hint: '`tenuto ls` lists the plans',
    api: 'a plan is named by its id, as `GET /api/v1/plans` lists it, and a job by its name; what a ref like NAME/JOB#2 names, `GET /api/v1/resolve?ref=REF` says',
    exit: 4,
    http: 404,
  },
  REF_MISPLACED: {
    message: '{ref} is {what}; here {wanted} is wanted',
    hint: 'for the {kind}: `{route}`',
    exit: 4,
    http: 404,
  },
  REF_AMBIGUOUS: {
    message: '{ref} may be {candidates}',
    hint: 'give more of the id',
    exit: 4,
    http: 409,
  },
  LETTER_NOT_FOUND: {
    message: 'there is no dead letter {id}',
    hint: 'an id is a whole number, and `tenuto dead` lists those that are kept; one that was redelivered or discarded is among them no more',
    exit: 4,
    http: 404,
  },
  NO_DAEMON: { message: 'no daemon serves {home}', hint: 'start one with `tenuto up`', exit: 5, http: 503 },
  UNHELD: {
    message: 'nobody holds {home}, and {plans} not ended',
    hint: 'what runs goes on, and nothing new starts: go on with `tenuto resume`, or start a daemon with `tenuto up`',
    exit: 5,
    http: 503,
  },
  DAEMON_FAILED: {
    message: 'the daemon of {home} did not start: {why}',
    hint: 'see {path}; in the foreground: `tenuto up --home {home}`',
    exit: 5,
    http: 503,
  },
  DAEMON_GIVEN_UP: {
    message:
      'the daemon of {home} ended {times} times within {period}, the last time by {how}; it is not started again',
    hint: 'what runs goes on: see {path}, then `tenuto up`',
    exit: 5,
    http: 503,
  },
  HOME_UNUSABLE: {
    message: 'the home {home} {why}',
    hint: 'name a folder with `--home DIR`; it is made if it is not there',
    exit: 2,
    http: 400,
  },
  HOME_HELD: {
    message: 'the home {home} is held by {holder}',
    hint: '{remedy}',
    exit: 5,
    http: 409,
  },
  HOME_GONE: {
    message: 'the home {home} {why}',
    hint: 'nothing more was recorded; one that was moved is opened where it is now (`tenuto resume --home DIR`), which adopts what still runs',
    exit: 12,
    http: 503,
  },
  HOME_COPIED: {
    message:
      'the home {home} is a copy of {first}, which is still there: what runs and what has begun is that home’s',
    hint: 'use that one (`--home {first}`); to make the copy a home of its own, which goes on with the same plans beside it: `tenuto restore {journal} --home {home}` (what ran when it was copied is lost there)',
    exit: 7,
    http: 409,
  },
  SOCKET_UNMADE: {
    message: '{path}, the socket of the home, cannot be made: {why}',
    hint: 'move away what is in its place, and try again; what runs goes on',
    exit: 5,
    http: 503,
  },
  NO_ANSWER: {
    message: 'the home {home} is held by {holder}, which does not answer',
    hint: '{remedy}',
    exit: 5,
    http: 504,
  },
  ROUTE_UNKNOWN: {
    message: 'there is no route {route}',
    hint: 'check the path, and that both sides are the same version of tenuto',
    api: 'check the path: `GET /api/v1/openapi.json` has all there are, and `GET /version` says who answers',
    exit: 5,
    http: 404,
  },
  METHOD_UNKNOWN: {
    message: '{path} has no {method}',
    hint: 'it has {methods}',
    exit: 5,
    http: 405,
  },
  SCHEMA_NEWER: {
    message: 'the journal {path} has schema {found}; this version knows up to {known}',
    hint: 'use the newer tenuto that wrote it; the file was not touched',
    exit: 5,
    http: 503,
  },
  BUILD_INCOMPLETE: {
    message: 'the build in {path} cannot be read: {why}',
    hint: 'run `npm run build`, or install tenuto again',
    exit: 5,
    http: 503,
  },
  BUILD_STALE: {
    message: 'this build is {build}, and it is stale: {why}',
    hint: '{remedy}',
    exit: 5,
    http: 503,
  },
  NODE_TOO_OLD: {
    message: 'tenuto needs Node 24 or newer; this is {version}',
    hint: 'install Node 24',
    exit: 5,
    http: 503,
  },
  PORT_UNUSABLE: {
    message: '{place} cannot be listened on: {why}',
    hint: 'name another port with `--port N`, or let one be picked: `tenuto up --port 0`; nothing was started',
    exit: 5,
    http: 503,
  },
  DEBUGGER_OPEN: {
    message: 'a debugger can be attached at {at}: every program that reaches it could do here what you can',
    hint: 'take `--inspect` out of NODE_OPTIONS: `env -u NODE_OPTIONS {command}`; to debug it all the same: `{command} --allow-debugger`',
    exit: 6,
    http: 403,
  },
  NOT_ALLOWED: { message: '{what}', hint: '{remedy}', exit: 6, http: 403 },
  UNAUTHENTICATED: {
    message: 'not authenticated: {what}',
    hint: 'programs send the header `Authorization: Bearer TOKEN` with what the file `token` in the home holds; browsers get in by `tenuto open`',
    exit: 6,
    http: 401,
  },
  TOO_MANY: { message: '{what}', hint: '{remedy}', exit: 5, http: 429 },
  KEY_CONFLICT: {
    message: 'the key {key} belongs to plan {plan}, which was submitted with another body',
    hint: 'use another key, or submit the same plan',
    exit: 7,
    http: 409,
  },
  WRONG_STATE: { message: '{ref} is {state}; {what}', hint: '{remedy}', exit: 7, http: 409 },
  PLAN_DAMAGED: {
    message: 'plan {plan} cannot be loaded: {why}',
    hint: 'restore a backup, or use the tenuto that wrote it, then `tenuto continue {plan}`; all other plans go on',
    exit: 7,
    http: 409,
  },
  BACKUP_UNUSABLE: {
    message: '{path} is no backup that can be restored: {why}',
    hint: 'name a file that `tenuto backup` made (`backups` in a home has the last ones); the home was not touched',
    exit: 2,
    http: 400,
  },
  BACKUP_FOREIGN: {
    message: '{path} was made in another home',
    hint: 'name a backup of this home; to put it in the place of what this home knows all the same: `--force`',
    exit: 7,
    http: 409,
  },
  UNKNOWN_HANDLER: {
    message: 'job {job} calls {handler}, which this program has not registered',
    hint: 'pass it in `handlers` of createRuntime',
    exit: 3,
    http: 422,
  },
  BODY_TOO_BIG: {
    message: 'the request is larger than {limit} bytes',
    hint: 'send less; a plan file may have 64 MB, and is brought by `tenuto run` on the machine of the home',
    api: 'send less; on the socket of the home a plan may have 100 MB',
    exit: 2,
    http: 413,
  },
  HEADERS_TOO_BIG: {
    message: 'the headers have more than {limit} bytes',
    hint: 'send fewer, or shorter ones',
    exit: 2,
    http: 431,
  },
  TOO_SLOW: {
    message: 'the request was not there in time',
    hint: 'send it again, at once and whole',
    exit: 5,
    http: 408,
  },
  EXPECTATION_UNMET: {
    message: 'what the request expects ({expected}) cannot be met',
    hint: 'leave the header Expect out; no other than 100-continue is known',
    exit: 2,
    http: 417,
  },
  SCHEMA_MISMATCH: {
    message: '{client} asks for schema {asked}; the holder of this home, tenuto {holder}, serves {served}',
    hint: 'use the same version of tenuto for both',
    api: 'leave the header Accept-Schema out, or ask for {served}',
    exit: 5,
    http: 406,
  },
  RUNNER_MISMATCH: {
    message:
      'the runner of {home}, of build {runner}, speaks protocol {found}; this is tenuto {build} and speaks {spoken}',
    hint: 'its attempts go on: use the tenuto that started them, or wait until they have ended and it has left',
    exit: 5,
    http: 503,
  },
  SUPERVISION_INVALID: {
    message: 'the supervisor refuses what it was told: {wrong}',
    hint: 'mend what is named; nothing was started',
    exit: 12,
    http: 500,
  },
  CHILD_NOT_STARTED: {
    message: '{child} could not be started: {why}',
    hint: 'the cause says more; what its supervisor had started before it was stopped again',
    exit: 12,
    http: 500,
  },
  SUPERVISOR_ENDED: {
    message: 'the supervisor {name} is not started again: it has ended ({why})',
    hint: 'a supervisor is started once; make another',
    exit: 12,
    http: 500,
  },
  ANALYTICS_UNAVAILABLE: {
    message: 'analytics is not there: {why}',
    hint: 'nothing depends on it; it is started again by itself and goes on where it was',
    exit: 12,
    http: 503,
  },
  SECTION_UNAVAILABLE: {
    message: '{section} cannot be told: {why}',
    hint: 'the other sections stand; `tenuto tree` shows what failed, and `daemon.log` why',
    exit: 12,
    http: 503,
  },
  CORE_GONE: {
    message: 'this holder can do nothing more: {why}',
    hint: 'it is about to end; start it again, nothing is lost',
    exit: 12,
    http: 503,
  },
  RUNTIME_GIVEN_UP: {
    message: 'a part without which nothing goes on failed too often: {why}',
    hint: 'nothing is lost: start it again; `daemon.log` says what failed',
    exit: 12,
    http: 503,
  },
  STOPPED: { message: 'the runtime has stopped', hint: 'create another', exit: 5, http: 503 },
  HOME_PAUSED: {
    message: 'the home {home} is {mode}: nothing new starts in it',
    hint: '`tenuto daemon resume` lets all go on; what runs goes on as it is',
    exit: 7,
    http: 409,
  },
  DRAINING: {
    message: 'no new plan is taken in: {home} is {mode}',
    hint: '`tenuto daemon resume` ends that; nothing of this plan was stored',
    exit: 7,
    http: 503,
  },
  FENCED: {
    message: 'this process has been replaced ({what})',
    hint: 'another process holds this home now; nothing of this one was written',
    exit: 5,
    http: 503,
  },
  STORE_FULL: {
    message: '{path} cannot be written: {why}',
    hint: 'free disk space, or make it writable, then ask again: this was not done; nothing else is lost',
    exit: 12,
    http: 503,
  },
  STORE_RESTARTED: {
    message: 'the writer of the journal failed and is started again: {why}',
    hint: 'nothing of this commit has happened; ask again',
    exit: 12,
    http: 503,
  },
  STORE_BROKEN: {
    message: 'the journal {path} cannot be used: {why}',
    hint: '`tenuto doctor` says more',
    exit: 12,
    http: 503,
  },
  STORE_DISPLACED: {
    message:
      'the journal {path} was removed, or another was put in its place, while it was held; all that it held is in {copy}',
    hint: '`tenuto restore {copy}` puts it back, then `tenuto resume` goes on from it; what runs goes on meanwhile',
    exit: 12,
    http: 503,
  },
  STORE_CORRUPT: {
    message: 'the journal {path} is damaged: {why}',
    hint: 'restore a backup (`tenuto restore FILE`; `backups` in the home has the last ones); it was not changed and is never made anew',
    exit: 12,
    http: 503,
  },
  STORE_GONE: {
    message: 'the journal {path} is gone, and attempts of its plans are there',
    hint: 'restore a backup (`tenuto restore FILE`; `backups` in the home has the last ones), or, to begin anew, move {attempts} away; none is made anew beside them',
    exit: 12,
    http: 503,
  },
  INTERNAL: {
    message: 'unexpected: {what}',
    hint: 'please report this with the output of `tenuto version`',
    exit: 12,
    http: 500,
  },
} as const satisfies Record<string, Entry>

/** A code of the table. */
export type ErrorCode = keyof typeof ERRORS

const fill = (template: string, fields: Fields): string =>
  template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in fields ? String(fields[name]) : whole))

/** An error of the table with its fields. */
export class TenutoError extends Error {
  override readonly name = 'TenutoError'
  readonly code: ErrorCode
  readonly hint: string
  readonly fields: Fields
  readonly exit: number
  readonly http: number

  constructor(code: ErrorCode, fields: Fields = {}, cause?: unknown) {
    const entry: Entry = ERRORS[code]
    super(fill(entry.message, fields), cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = fill(entry.hint, fields)
    this.fields = fields
    this.exit = entry.exit
    this.http = entry.http
  }
}

/** What to do about an error over HTTP, as the table has it. */
export const apiHint = ({ code, fields }: TenutoError): string => {
  const { api, hint }: Entry = ERRORS[code]
  return fill(api ?? hint, fields)
}

/** Whether a value is an error of the table, with this code if one is given. */
export const isTenutoError = (error: unknown, code?: ErrorCode): error is TenutoError =>
  error instanceof TenutoError && (code === undefined || error.code === code)
