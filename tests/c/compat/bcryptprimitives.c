/* Rust's standard library has its random numbers from a library that Wine 8 lacks. For the tests under Wine alone. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void *data, ULONG length); /* advapi32's, for what this is in Windows itself */

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *data, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > 0x10000000 ? 0x10000000 : (ULONG)length;
        if (!SystemFunction036(data, part))
            return FALSE;
        data += part;
        length -= part;
    }
    return TRUE;
}
