/**
 * The token of a home: who can read that file may ask everything of the API over TCP. Drawn once, and kept from everybody but the
 * home's user.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { TenutoError } from '../errors.ts'
import { unwritten, writeWhole } from '../whole-file.ts'
import { TOKEN_PREFIX } from './gate.ts'

/** Says whether what somebody brings is the token. Takes the same time whatever is brought. */
export type TokenCheck = (brought: string) => boolean

const SECRET_BYTES = 32
const SHAPE = /^tenuto_[\w-]{43}$/

/**
 * The token of a home, made with mode 0600 where there is none. Only who holds the home calls this.
 * @throws {TenutoError} `NOT_ALLOWED` when the file is a link, no file, somebody else's, open to others, or holds no token;
 * `STORE_FULL`, `FILE_UNWRITABLE` when none can be made.
 */
export const tokenOf = (path: string): TokenCheck => {
  const hash = digest(read(path) ?? make(path))
  return (brought) => timingSafeEqual(digest(brought), hash)
}

/**
 * Looks at the token of a home without making one.
 * @throws {TenutoError} `NOT_ALLOWED` as `tokenOf`.
 */
export const checkToken = (path: string): void => void read(path)

/** A secret of 256 bits, as text. */
export const drawSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url')

/** What is kept of a secret. */
export const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** Undefined where there is none. What is looked at is what is read: nobody can put another in its place between. */
const read = (path: string): string | undefined => {
  let handle: number
  try {
    handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw refused(path, code === 'ELOOP' ? 'is a link' : `cannot be read: ${message}`, error)
  }
  try {
    const stats = fstatSync(handle)
    if (!stats.isFile()) throw refused(path, 'is no file')
    const user = process.getuid?.()
    if (user !== undefined && stats.uid !== user) throw refused(path, 'belongs to another user')
    if ((stats.mode & 0o077) !== 0) throw refused(path, 'is open to other users, who may know it')
    const token = readFileSync(handle, 'utf8').trimEnd()
    if (!SHAPE.test(token)) throw refused(path, 'holds no token')
    return token
  } finally {
    closeSync(handle)
  }
}

const make = (path: string): string => {
  const token = `${TOKEN_PREFIX}${drawSecret()}`
  try {
    writeWhole(path, `${token}\n`)
  } catch (error) {
    throw unwritten(path, error)
  }
  return token
}

const refused = (path: string, why: string, cause?: unknown): TenutoError =>
  new TenutoError(
    'NOT_ALLOWED',
    { what: `the token ${path} ${why}`, remedy: 'remove it: the next start makes another' },
    cause,
  )
