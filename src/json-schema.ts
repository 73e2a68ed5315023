/**
 * JSON Schemas of which TypeScript knows the type: one value says what a thing is, to the compiler, to whoever checks what comes in, and
 * to the document of the API. Only what we use of JSON Schema is here, and all of it means the same in every draft.
 */
import type { Json, JsonObject } from './json.ts'

/** A JSON Schema, in the words that we use. */
export type JsonSchema = Readonly<{
  /** A schema with a title is a component of the document, and is referred to by it. */
  title?: string
  description?: string
  type?: string | readonly string[]
  enum?: readonly (string | number | boolean | null)[]
  /** Said to whoever reads; `pattern` and the bounds are what is checked. */
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: JsonSchema
  minItems?: number
  properties?: Readonly<Record<string, JsonSchema>>
  required?: readonly string[]
  additionalProperties?: boolean | JsonSchema
  anyOf?: readonly JsonSchema[]
  $ref?: string
  /** Nobody is told what it is, not even that it is wrong. */
  writeOnly?: boolean
  default?: Json
}>

declare const VALUE: unique symbol

/** A schema of values of a type. */
export type Schema<Value = unknown> = JsonSchema & Readonly<{ [VALUE]?: Value }>

/** The type of what a schema describes. */
export type Of<S> = S extends Readonly<{ [VALUE]?: infer Value }> ? Value : never

/** Schemas by name. */
export type Fields = Readonly<Record<string, Schema>>
type Simple<Type> = { readonly [Key in keyof Type]: Type[Key] }
type ObjectOf<Required, Optional> = Simple<
  { readonly [Key in keyof Required]: Of<Required[Key]> } & {
    readonly [Key in keyof Optional]?: Of<Optional[Key]>
  }
>

/** A schema with words that say what it is for. */
export const about = <Value>(description: string, schema: Schema<Value>): Schema<Value> => ({
  ...schema,
  description,
})

/** A schema that is a component of the document under this name. */
export const named = <Value>(title: string, schema: Schema<Value>): Schema<Value> => ({ ...schema, title })

/** A text. */
export const text = (
  more: Pick<JsonSchema, 'description' | 'format' | 'pattern' | 'minLength' | 'maxLength'> = {},
): Schema<string> => ({ type: 'string', ...more })

/** A text that is to be known to nobody. */
export const secretText: Schema<string> = { type: 'string', writeOnly: true }

/** One of these words. */
export const oneOf = <const Word extends string>(words: readonly Word[]): Schema<Word> => ({
  type: 'string',
  enum: words,
})

/** One of these words, which the code takes for any text. */
export const word = (words: readonly string[]): Schema<string> => ({ type: 'string', enum: words })

/** A moment, ISO 8601 UTC. */
export const moment: Schema<string> = { type: 'string', format: 'date-time' }

/** A whole number. */
export const whole = (
  more: Pick<JsonSchema, 'description' | 'minimum' | 'maximum'> = {},
): Schema<number> => ({
  type: 'integer',
  ...more,
})

/** Any number. */
export const number: Schema<number> = { type: 'number' }

/** Yes or no. */
export const flag: Schema<boolean> = { type: 'boolean' }

/** Yes, or not there. */
export const yes: Schema<true> = { type: 'boolean', enum: [true] }

/** Any value of JSON. */
export const json: Schema<Json> = {}

/** Any object of JSON. */
export const jsonObject: Schema<JsonObject> = { type: 'object' }

/** What a schema describes, or null. */
export const orNull = <Value>(schema: Schema<Value>): Schema<Value | null> => {
  const { title, type, enum: words, description } = schema
  if (title !== undefined || typeof type !== 'string')
    return {
      ...(description === undefined ? {} : { description }),
      anyOf: [schema, { type: 'null' }],
    } as Schema<Value | null>
  return {
    ...schema,
    type: [type, 'null'],
    ...(words === undefined ? {} : { enum: [...words, null] }),
  } as Schema<Value | null>
}

/** A list of these. */
export const list = <Value>(
  items: Schema<Value>,
  more: Pick<JsonSchema, 'minItems'> = {},
): Schema<readonly Value[]> => ({ type: 'array', items, ...more })

/** These by any names. */
export const record = <Value>(values: Schema<Value>): Schema<Readonly<Record<string, Value>>> => ({
  type: 'object',
  additionalProperties: values,
})

/** An object with these fields, and with those that may be left out. It may come to have more. */
export const object = <const Required extends Fields, const Optional extends Fields = Readonly<{}>>(
  required: Required,
  optional?: Optional,
): Schema<ObjectOf<Required, Optional>> => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
})

/** An object of which every field may be left out, and that has no other. */
export const options = <const Optional extends Fields>(
  optional: Optional,
): Schema<ObjectOf<Readonly<{}>, Optional>> => ({
  type: 'object',
  properties: optional,
  additionalProperties: false,
})

/** The fields of two objects in one. */
export const both = <One, Two>(one: Schema<One>, two: Schema<Two>): Schema<Simple<One & Two>> => ({
  type: 'object',
  properties: { ...one.properties, ...two.properties },
  required: [...(one.required ?? []), ...(two.required ?? [])],
})

/** What is described elsewhere in the document, so that a thing may hold others of its kind. */
export const reference = <Value>(title: string): Schema<Value> => ({ $ref: `#/components/schemas/${title}` })
