//go:build cgo

#include "capi.h"

#include <stdbool.h>
#include <string.h>

typedef void (*Function)(void);
typedef struct Allocator Allocator;
typedef struct MemoryInfo MemoryInfo;

typedef struct {
  const Function *(*get_api)(uint32_t version);
  const char *(*version)(void);
} ApiBase;

// Places in the table of functions.
enum {
  GET_ERROR_CODE = 1,
  GET_ERROR_MESSAGE = 2,
  RUN = 9,
  SESSION_GET_INPUT_COUNT = 30,
  SESSION_GET_OUTPUT_COUNT = 31,
  SESSION_GET_INPUT_TYPE_INFO = 33,
  SESSION_GET_OUTPUT_TYPE_INFO = 34,
  SESSION_GET_INPUT_NAME = 36,
  SESSION_GET_OUTPUT_NAME = 37,
  CREATE_RUN_OPTIONS = 39,
  RUN_OPTIONS_SET_TERMINATE = 46,
  CREATE_TENSOR_AS_ORT_VALUE = 48,
  CREATE_TENSOR_WITH_DATA_AS_ORT_VALUE = 49,
  GET_TENSOR_MUTABLE_DATA = 51,
  GET_STRING_TENSOR_DATA_LENGTH = 53,
  GET_STRING_TENSOR_CONTENT = 54,
  CAST_TYPE_INFO_TO_TENSOR_INFO = 55,
  GET_TENSOR_ELEMENT_TYPE = 60,
  GET_DIMENSIONS_COUNT = 61,
  GET_DIMENSIONS = 62,
  GET_SYMBOLIC_DIMENSIONS = 63,
  GET_TENSOR_TYPE_AND_SHAPE = 65,
  GET_VALUE_TYPE = 67,
  CREATE_CPU_MEMORY_INFO = 69,
  ALLOCATOR_FREE = 76,
  GET_ALLOCATOR_WITH_DEFAULT_OPTIONS = 78,
  RELEASE_STATUS = 93,
  RELEASE_VALUE = 96,
  RELEASE_RUN_OPTIONS = 97,
  RELEASE_TYPE_INFO = 98,
  RELEASE_TENSOR_TYPE_AND_SHAPE_INFO = 99,
  GET_AVAILABLE_PROVIDERS = 125,
  RELEASE_AVAILABLE_PROVIDERS = 126,
  GET_RESIZED_STRING_TENSOR_ELEMENT_BUFFER = 252,
  TENSOR_TYPE_AND_SHAPE_HAS_SHAPE = 390,
};

// Values of ONNX Runtime's enumerations.
enum { TYPE_TENSOR = 1, ELEMENT_STRING = 8, ALLOCATOR_ARENA = 1, MEMORY_DEFAULT = 0 };

static const Function *api;
static MemoryInfo *cpu_memory;
static Allocator *allocator;

// CALL(place, result, parameter types)(arguments) calls a function of the table.
#define CALL(place, result, ...) ((result(*)(__VA_ARGS__))api[place])

static const ApiBase *base(void *get_api_base) {
  return ((const ApiBase *(*)(void))get_api_base)();
}

const char *capi_version(void *get_api_base) { return base(get_api_base)->version(); }

int capi_open(void *get_api_base, uint32_t api_version) {
  api = base(get_api_base)->get_api(api_version);
  return api != NULL;
}

Status *capi_prepare(void) {
  Status *status = CALL(GET_ALLOCATOR_WITH_DEFAULT_OPTIONS, Status *, Allocator **)(&allocator);
  if (status != NULL) return status;
  return CALL(CREATE_CPU_MEMORY_INFO, Status *, int, int, MemoryInfo **)(ALLOCATOR_ARENA, MEMORY_DEFAULT, &cpu_memory);
}

int capi_error_code(Status *status) { return CALL(GET_ERROR_CODE, int, const Status *)(status); }

const char *capi_error_message(Status *status) { return CALL(GET_ERROR_MESSAGE, const char *, const Status *)(status); }

void capi_release_status(Status *status) { CALL(RELEASE_STATUS, void, Status *)(status); }

Status *capi_providers(char ***names, int *count) {
  return CALL(GET_AVAILABLE_PROVIDERS, Status *, char ***, int *)(names, count);
}

Status *capi_release_providers(char **names, int count) {
  return CALL(RELEASE_AVAILABLE_PROVIDERS, Status *, char **, int)(names, count);
}

Status *capi_count(Session *session, int outputs, size_t *count) {
  int place = outputs ? SESSION_GET_OUTPUT_COUNT : SESSION_GET_INPUT_COUNT;
  return CALL(place, Status *, const Session *, size_t *)(session, count);
}

Status *capi_name(Session *session, int outputs, size_t index, char **name) {
  int place = outputs ? SESSION_GET_OUTPUT_NAME : SESSION_GET_INPUT_NAME;
  return CALL(place, Status *, const Session *, size_t, Allocator *, char **)(session, index, allocator, name);
}

void capi_free_name(char *name) {
  Status *status = CALL(ALLOCATOR_FREE, Status *, Allocator *, void *)(allocator, name);
  if (status != NULL) capi_release_status(status);
}

Status *capi_type(Session *session, int outputs, size_t index, TypeInfo **info) {
  int place = outputs ? SESSION_GET_OUTPUT_TYPE_INFO : SESSION_GET_INPUT_TYPE_INFO;
  return CALL(place, Status *, const Session *, size_t, TypeInfo **)(session, index, info);
}

Status *capi_tensor_type(TypeInfo *info, const TensorInfo **tensor) {
  return CALL(CAST_TYPE_INFO_TO_TENSOR_INFO, Status *, const TypeInfo *, const TensorInfo **)(info, tensor);
}

void capi_release_type(TypeInfo *info) { CALL(RELEASE_TYPE_INFO, void, TypeInfo *)(info); }

Status *capi_element_type(const TensorInfo *info, int *type) {
  return CALL(GET_TENSOR_ELEMENT_TYPE, Status *, const TensorInfo *, int *)(info, type);
}

int capi_has_shape(const TensorInfo *info) {
  return CALL(TENSOR_TYPE_AND_SHAPE_HAS_SHAPE, bool, const TensorInfo *)(info);
}

Status *capi_rank(const TensorInfo *info, size_t *rank) {
  return CALL(GET_DIMENSIONS_COUNT, Status *, const TensorInfo *, size_t *)(info, rank);
}

Status *capi_dimensions(const TensorInfo *info, int64_t *dimensions, size_t rank) {
  return CALL(GET_DIMENSIONS, Status *, const TensorInfo *, int64_t *, size_t)(info, dimensions, rank);
}

Status *capi_symbols(const TensorInfo *info, const char **symbols, size_t rank) {
  return CALL(GET_SYMBOLIC_DIMENSIONS, Status *, const TensorInfo *, const char **, size_t)(info, symbols, rank);
}

void capi_release_tensor_info(TensorInfo *info) { CALL(RELEASE_TENSOR_TYPE_AND_SHAPE_INFO, void, TensorInfo *)(info); }

Status *capi_tensor(void *data, size_t bytes, const int64_t *shape, size_t rank, int type, Value **value) {
  return CALL(CREATE_TENSOR_WITH_DATA_AS_ORT_VALUE, Status *, const MemoryInfo *, void *, size_t, const int64_t *, size_t, int, Value **)(
      cpu_memory, data, bytes, shape, rank, type, value);
}

Status *capi_string_tensor(const int64_t *shape, size_t rank, Value **value) {
  return CALL(CREATE_TENSOR_AS_ORT_VALUE, Status *, Allocator *, const int64_t *, size_t, int, Value **)(
      allocator, shape, rank, ELEMENT_STRING, value);
}

Status *capi_set_string(Value *value, size_t index, const char *text, size_t length) {
  char *buffer = NULL;
  Status *status = CALL(GET_RESIZED_STRING_TENSOR_ELEMENT_BUFFER, Status *, Value *, size_t, size_t, char **)(
      value, index, length, &buffer);
  if (status == NULL && length > 0) memcpy(buffer, text, length);
  return status;
}

void capi_release_value(Value *value) { CALL(RELEASE_VALUE, void, Value *)(value); }

Status *capi_value_info(Value *value, TensorInfo **info) {
  int type = 0;
  *info = NULL;
  Status *status = CALL(GET_VALUE_TYPE, Status *, const Value *, int *)(value, &type);
  if (status != NULL || type != TYPE_TENSOR) return status;
  return CALL(GET_TENSOR_TYPE_AND_SHAPE, Status *, const Value *, TensorInfo **)(value, info);
}

Status *capi_value_data(Value *value, void **data) {
  return CALL(GET_TENSOR_MUTABLE_DATA, Status *, Value *, void **)(value, data);
}

Status *capi_strings_length(Value *value, size_t *bytes) {
  return CALL(GET_STRING_TENSOR_DATA_LENGTH, Status *, const Value *, size_t *)(value, bytes);
}

Status *capi_strings(Value *value, void *text, size_t bytes, size_t *offsets, size_t count) {
  return CALL(GET_STRING_TENSOR_CONTENT, Status *, const Value *, void *, size_t, size_t *, size_t)(
      value, text, bytes, offsets, count);
}

Status *capi_run_options(RunOptions **options) {
  return CALL(CREATE_RUN_OPTIONS, Status *, RunOptions **)(options);
}

Status *capi_terminate(RunOptions *options) { return CALL(RUN_OPTIONS_SET_TERMINATE, Status *, RunOptions *)(options); }

void capi_release_run_options(RunOptions *options) { CALL(RELEASE_RUN_OPTIONS, void, RunOptions *)(options); }

Status *capi_run(Session *session, const RunOptions *options,
                 const char *const *input_names, Value *const *inputs, size_t input_count,
                 const char *const *output_names, size_t output_count, Value **outputs) {
  return CALL(RUN, Status *, Session *, const RunOptions *, const char *const *, const Value *const *, size_t, const char *const *, size_t, Value **)(
      session, options, input_names, (const Value *const *)inputs, input_count, output_names, output_count, outputs);
}
