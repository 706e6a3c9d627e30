module fastnlb.test/client

go 1.21
