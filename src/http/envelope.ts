/**
 * Errors on their way: an error of the table as the body of an answer, and the same error at the other end.
 */
import { ERRORS, type ErrorCode, isTenutoError, TenutoError } from '../errors.ts'
import { about, list, named, type Of, object, record, type Schema, text } from '../json-schema.ts'
import { type PlanError, planError } from '../plans/problem.ts'
import { hintOverHttp } from './words.ts'

const plainValue = { type: ['string', 'number', 'boolean', 'null'] } as Schema<
  string | number | boolean | null
>

/** What every answer is that is an error. */
export const errorSchema = named(
  'Error',
  object({
    error: object(
      {
        code: about('Stable for ever; `docs/errors.md` lists them.', text()),
        message: about('What is wrong, with the value.', text()),
        hint: about('What to do.', text()),
        request_id: about('The name of the request in `daemon.log`.', text()),
        fields: about('The values in the message, for programs.', record(plainValue)),
      },
      { errors: about('Of an invalid plan: each of its errors.', list(planError)) },
    ),
  }),
)

/** The body of every answer that is an error. */
export type Envelope = Of<typeof errorSchema>

/** The body that tells of an error. */
export const envelope = (error: TenutoError, requestId: string): Envelope => {
  const { code, message, fields } = error
  const plain = Object.entries(fields).filter(
    (field): field is [string, string | number | boolean | null] =>
      field[1] === null || ['string', 'number', 'boolean'].includes(typeof field[1]),
  )
  const errors = fields['errors']
  return {
    error: {
      code,
      message,
      hint: hintOverHttp(error),
      request_id: requestId,
      fields: Object.fromEntries(plain),
      ...(Array.isArray(errors) ? { errors: errors as readonly PlanError[] } : {}),
    },
  }
}

/**
 * The error a body tells of; undefined when it is no envelope. Its words are those of whoever answered, but that what to do is said as
 * our own commands, where it is what we would have said.
 */
export const openEnvelope = (body: string): TenutoError | undefined => {
  let error: Partial<Envelope['error']> | undefined
  try {
    error = (JSON.parse(body) as Partial<Envelope> | null)?.error
  } catch {
    return undefined
  }
  if (typeof error?.code !== 'string' || typeof error.message !== 'string') return undefined
  const { code, message, hint = '', fields = {}, errors } = error
  // A newer holder may know codes that we do not.
  if (!isKnown(code)) return new TenutoError('INTERNAL', { what: message })
  const known = new TenutoError(code, { ...fields, ...(errors === undefined ? {} : { errors }) })
  known.message = message
  return hintOverHttp(known) === hint
    ? known
    : Object.defineProperty(known, 'hint', { value: hint, enumerable: true })
}

/** Any error as one of the table; what the HTTP layer refuses is `USAGE`, what nobody expected `INTERNAL`. */
export const told = (error: unknown): TenutoError => {
  if (isTenutoError(error)) return error
  const { statusCode, message } =
    error instanceof Error ? (error as Error & { statusCode?: number }) : { message: String(error) }
  const refused = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  return new TenutoError(refused ? 'USAGE' : 'INTERNAL', { what: message }, error)
}

const isKnown = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)
