/**
 * What `tenuto doctor` looks at of the API of a daemon on TCP: whether it can be reached, and whether the token in the home lets in.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { HolderLook } from '../audit/holder.ts'
import { systemClock } from '../clock.ts'
import { isTenutoError } from '../errors.ts'
import { homePaths } from '../home.ts'
import { checkToken } from '../http/token.ts'
import { wordsOf } from '../thrown.ts'
import { type Check, fail, ok, warn } from './check.ts'
import { urlOf } from './tcp.ts'

const ANSWERS_WITHIN_MS = 5_000

/** Looks at the API of who holds the home; undefined where nobody does, or on its socket alone. */
export const apiCheck = async (home: string, { held, says }: HolderLook): Promise<Check | undefined> => {
  const url = held && says !== undefined ? urlOf(home, says.pid) : null
  if (url === null) return undefined
  const { token } = homePaths(home)
  if (!existsSync(token))
    return warn(
      'api',
      `${url}; ${token} is gone, so that no program can be let in`,
      'stop the daemon and start it again: it makes another',
    )
  try {
    checkToken(token)
  } catch (error) {
    if (!isTenutoError(error)) throw error
    return fail('api', `${error.message}: who knows it may do all that you may`, error.hint)
  }
  const status = await answerOf(`${url}/version`, readFileSync(token, 'utf8').trim())
  if (typeof status === 'string')
    return warn(
      'api',
      `${url} does not answer (${status}): browsers and programs cannot reach the daemon, commands can`,
      'see `tenuto status` and daemon.log; `tenuto down` and `tenuto up` bind it anew',
    )
  if (status === UNKNOWN_TOKEN)
    return warn(
      'api',
      `${url} does not take the token in ${token}: another stands there than when it began`,
      'stop the daemon and start it again: it reads it anew',
    )
  return ok('api', `${url}, for who has the token`)
}

const UNKNOWN_TOKEN = 401

/** The status of the answer, or why there was none. A host that is refused is an answer, too. */
const answerOf = async (url: string, token: string): Promise<number | string> => {
  const late = new AbortController()
  const cancel = systemClock.setTimeout(() => late.abort(new Error('no answer in time')), ANSWERS_WITHIN_MS)
  try {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await fetch(url, { headers, redirect: 'manual', signal: late.signal })
    await answer.body?.cancel()
    return answer.status
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    return wordsOf(cause)
  } finally {
    cancel()
  }
}
