package listen

// Budget is how many connections the listeners of one process may hold, so that descriptors are left for
// stores, calls of other services, and files.
type Budget struct{ Public, Internal, Admin int }

// Bounds of a budget, in descriptors.
const (
	smallReserve = 128
	largeReserve = 4096
	mostAdmin    = 64
	// mostDescriptors is what more than is never reckoned with: some systems have no limit.
	mostDescriptors = 1 << 20
)

// BudgetFor divides so many descriptors. A quarter stays reserved, within bounds; the admin listener's
// connections are part of it, so that probes are answered while the other listeners are full.
func BudgetFor(descriptors int) Budget {
	descriptors = min(max(descriptors, 16), mostDescriptors)
	reserve := min(max(descriptors/4, smallReserve), descriptors/2, largeReserve)
	rest := descriptors - reserve
	return Budget{Public: rest - rest/4, Internal: rest / 4, Admin: min(reserve/8, mostAdmin)}
}

// BudgetHere divides the descriptors that this process may open.
func BudgetHere() Budget { return BudgetFor(descriptors()) }
