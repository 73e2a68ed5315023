/**
 * The gate of the API over TCP: what is refused of a request before anything else is looked at. A page of another site, a name that
 * was pointed at this machine, and a form come no further, whatever credentials their browser adds. It is total: it throws nothing,
 * whatever it is given.
 */
import { TenutoError } from '../errors.ts'
import { METHODS } from './operations.ts'

/** A request as it came: names and values of its headers in turn. */
export type Arrival = Readonly<{ method: string; url: string; rawHeaders: readonly string[] }>

/** All values of a header, in order. */
export const headerValues = (rawHeaders: readonly string[], name: string): readonly string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)

/** Whether a request only reads. */
export const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD'

/**
 * Why a request is refused at the gate; undefined when it may come in. `hosts` are the values of `Host` that name this server, port
 * included; they are compared byte for byte, since every cleverer comparison has been got wrong.
 */
export const refusalOf = (
  { method, url, rawHeaders }: Arrival,
  hosts: ReadonlySet<string>,
): TenutoError | undefined => {
  const all = (name: string): readonly string[] => headerValues(rawHeaders, name)
  const nameless = namelessness(rawHeaders)
  if (nameless) return nameless
  const [host = ''] = all('host')
  if (!hosts.has(host))
    return forbidden(`the header Host is ${shown([host])}, which does not name this server`)
  const origins = all('origin')
  if (origins.length > 1 || origins.some((origin) => origin !== `http://${host}`))
    return forbidden(`the request comes from another origin, ${shown(origins)}`)
  const site = all('sec-fetch-site')
  if (site.some((each) => each !== 'same-origin' && each !== 'none'))
    return forbidden(`the request comes from another site (Sec-Fetch-Site ${shown(site)})`)
  if (TOKEN.test(plain(url)) || TOKEN_PARAMETER.test(plain(url)))
    return new TenutoError('UNAUTHENTICATED', { what: 'a token has no place in a URL; it may be known now' })
  if (!url.startsWith('/')) return new TenutoError('USAGE', { what: 'the target of the request is no path' })
  if (isReading(method) || !METHODS.has(method)) return undefined
  const types = all('content-type')
  if (types.length !== 1 || !JSON_TYPE.test(types[0] ?? ''))
    return new TenutoError('USAGE', {
      what: `the content type is ${shown(types)}; it must be application/json`,
    })
  return undefined
}

/** Why a request is refused that does not name, once, whom it asks; undefined when it does. */
export const namelessness = (rawHeaders: readonly string[]): TenutoError | undefined => {
  const [host, ...more] = headerValues(rawHeaders, 'host')
  if (host !== undefined && host !== '' && more.length === 0) return undefined
  const is = host === undefined ? 'missing' : more.length > 0 ? 'there more than once' : 'empty'
  return new TenutoError('USAGE', { what: `the header Host is ${is}; a request names its server, once` })
}

/** What every token begins with, so that one in a wrong place is known as such. */
export const TOKEN_PREFIX = 'tenuto_'
const TOKEN = /tenuto_[\w-]{43}/
const TOKEN_PARAMETER = /[?&;](?:access_|auth_|api_|bearer_)?(?:token|authorization)=/i
const JSON_TYPE = /^application\/json(?:; ?charset=utf-8)?$/i

/** A URL without its escapes; one that is none stays as it is. */
const plain = (url: string): string =>
  url.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

const SHOWN_CHARACTERS = 100
const shown = (values: readonly string[]): string =>
  values.length === 0 ? 'missing' : values.map((value) => value.slice(0, SHOWN_CHARACTERS)).join(', ')

const forbidden = (what: string): TenutoError =>
  new TenutoError('NOT_ALLOWED', {
    what,
    remedy: 'ask under the address that `tenuto status` shows, from a program or a page of tenuto itself',
  })
