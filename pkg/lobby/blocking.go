package lobby

import "github.com/redis/go-redis/v9"

// separate returns a client with connections of its own to the same Redis, for reads that block. Closing it
// ends such a read; the end of a context does not, since go-redis does not look at it while it reads.
func separate(client redis.UniversalClient) redis.UniversalClient {
	switch c := client.(type) {
	case *redis.ClusterClient:
		options := *c.Options()
		options.MaxRetries = noRetries
		return redis.NewClusterClient(&options)
	case *redis.Client:
		options := *c.Options()
		options.MaxRetries = noRetries
		return redis.NewClient(&options)
	default:
		panic("lobby: a Redis client of a kind that is not known")
	}
}

// noRetries is how a client is told not to try again. Its options then say 0, which means three tries to the
// client that is made of them.
const noRetries = -1
